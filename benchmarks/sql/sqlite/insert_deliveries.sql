-- Insert one delivery for each event, to the webhooks in rotation.
WITH RECURSIVE numbers (number) AS (
  SELECT ?1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?2)
INSERT INTO deliveries (
  organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
  urgency, attempt_count, attempts_before)
SELECT
  t.organization_id, 'dlv_' || printf('%032x', n.number), t.webhook_id, 'evt_' || printf('%032x', n.number), ?5, ?6,
  ?7, 0, ?4 + n.number / 1000, ?4 + n.number / 1000, ?8, 1, 0
FROM numbers n JOIN temp.webhook_slots t ON t.number = n.number % ?3
ORDER BY n.number
