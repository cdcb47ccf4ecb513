-- Ask the claims to end the waits of a lane's deliveries that were planned up to this instant.
-- Differs because another node may be deleting the lane as empty.
INSERT INTO lanes (webhook_id, organization_id, due_at, expedite_before) VALUES ($1, $2, $3, $3)
ON CONFLICT (webhook_id) DO UPDATE SET expedite_before = excluded.expedite_before, expedite_after = 0
