-- Insert old events from number $1 to before number $2, one each $7 microseconds, a quarter of them to the first webhook.
-- Three events have one order. The orders' ids are in no order, as those of a shop may be, their references in order.
-- Differs because PostgreSQL has generate_series.
INSERT INTO events (organization_id, id, event_code, data, created_at, subject, reference_1, reference_2)
SELECT t.organization_id, 'evt_' || lpad(to_hex($4::bigint + n * $7::bigint / 1000), 12, '0') || '7' || lpad(to_hex(n), 19, '0'),
  $5, $6, $4::bigint + n * $7::bigint / 1000, 'ord_' || lpad(to_hex(n / 3 * 2654435761 % 4294967296), 16, '0'), 'A-' || n / 3,
  'shop-' || lpad(to_hex(n * 2246822519 % 4294967296), 8, '0')
FROM generate_series($1::bigint, $2::bigint - 1) AS n
JOIN webhook_slots t ON t.number = CASE WHEN n / 7 % 4 = 0 THEN 0 ELSE n % $3::bigint END
ORDER BY n
