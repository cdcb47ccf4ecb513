-- Insert one delivery for each event, to the webhooks in rotation.
-- Differs because PostgreSQL has generate_series.
INSERT INTO deliveries (
  organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
  urgency, attempt_count, attempts_before)
SELECT
  t.organization_id, 'dlv_' || lpad(to_hex(n), 32, '0'), t.webhook_id, 'evt_' || lpad(to_hex(n), 32, '0'), $5, $6,
  $7::bigint, 0, $4::bigint + n / 1000, $4::bigint + n / 1000, $8::smallint, 1, 0
FROM generate_series($1::bigint, $2::bigint - 1) AS n JOIN webhook_slots t ON t.number = n % $3::bigint
ORDER BY n
