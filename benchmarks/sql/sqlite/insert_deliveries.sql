-- Insert one delivery for each event. Of each second webhook, 2 of a hundred finished ones are exhausted, and 1 canceled.
WITH RECURSIVE numbers (number) AS (
  SELECT ?1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?2)
INSERT INTO deliveries (
  organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
  urgency, attempt_count, attempts_before)
SELECT
  t.organization_id, 'dlv_' || printf('%012x7%019x', ?4 + n.number * ?7 / 1000, n.number), t.webhook_id,
  'evt_' || printf('%012x7%019x', ?4 + n.number * ?7 / 1000, n.number), ?5,
  CASE WHEN ?8 IS NOT NULL OR t.number % 2 = 0 OR n.number / 3 % 100 > 2 THEN ?6
    WHEN n.number / 3 % 100 = 2 THEN 'canceled' ELSE 'exhausted' END,
  ?8, 0, ?4 + n.number * ?7 / 1000, ?4 + n.number * ?7 / 1000, ?9, 1, 0
FROM numbers n JOIN temp.webhook_slots t ON t.number = CASE WHEN n.number / 7 % 4 = 0 THEN 0 ELSE n.number % ?3 END
ORDER BY n.number
