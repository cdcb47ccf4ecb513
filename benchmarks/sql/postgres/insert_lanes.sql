-- Insert a lane for each numbered webhook, with its due time and the end of its hold.
INSERT INTO lanes (webhook_id, organization_id, due_at, held_until)
SELECT webhook_id, organization_id, $1::bigint, $2::bigint FROM webhook_slots
