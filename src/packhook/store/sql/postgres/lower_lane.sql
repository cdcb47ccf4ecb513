-- Lanes have something claimable from these instants on.
-- Differs because the lane's row is not touched here: a row that many publish to would make them wait for each other.
INSERT INTO lane_calls (webhook_id, organization_id, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
