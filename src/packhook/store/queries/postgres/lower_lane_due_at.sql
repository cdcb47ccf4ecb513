-- Record that lanes have something claimable from these instants on.
-- Differs because the lane's row is not updated here: publishers of one webhook would wait for each other.
INSERT INTO lane_wakeups (webhook_id, organization_id, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
