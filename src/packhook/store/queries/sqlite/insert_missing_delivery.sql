-- Insert the delivery of an event that the webhook never got; due now, as a replay.
INSERT INTO deliveries (
  id, organization_id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at, urgency,
  attempt_count, attempts_before
) VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?7, 0, ?6, ?7, 2, 0, 0)
