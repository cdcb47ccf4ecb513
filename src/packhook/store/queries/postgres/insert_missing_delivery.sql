-- Insert the delivery of an event that the webhook never got; due now, as a replay.
-- Differs because it takes many deliveries at once.
INSERT INTO deliveries (
  id, organization_id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at, urgency,
  attempt_count, attempts_before)
SELECT id, $1, $2, event_id, event_code, 'pending', $3, 0, created_at, $3, 2, 0, 0
FROM unnest($4::text[], $5::text[], $6::text[], $7::bigint[]) AS missing (id, event_id, event_code, created_at)
