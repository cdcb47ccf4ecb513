-- Insert one delivery for each event. Of each second webhook, 2 of a hundred finished ones are exhausted, and 1 canceled.
-- Differs because PostgreSQL has generate_series.
INSERT INTO deliveries (
  organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
  urgency, attempt_count, attempts_before)
SELECT
  t.organization_id, 'dlv_' || e.key, t.webhook_id, 'evt_' || e.key, $5,
  CASE WHEN $8::bigint IS NOT NULL OR t.number % 2 = 0 OR n / 3 % 100 > 2 THEN $6
    WHEN n / 3 % 100 = 2 THEN 'canceled' ELSE 'exhausted' END,
  $8::bigint, 0, e.created_at, e.created_at, $9::smallint, 1, 0
FROM generate_series($1::bigint, $2::bigint - 1) AS n
JOIN webhook_slots t ON t.number = CASE WHEN n / 7 % 4 = 0 THEN 0 ELSE n % $3::bigint END
CROSS JOIN LATERAL (
  SELECT $4::bigint + n * $7::bigint / 1000 AS created_at,
    lpad(to_hex($4::bigint + n * $7::bigint / 1000), 12, '0') || '7' || lpad(to_hex(n), 19, '0') AS key) AS e
ORDER BY n
