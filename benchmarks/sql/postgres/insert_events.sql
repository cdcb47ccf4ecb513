-- Insert old events from number $1 to before number $2: their ids sort before those of the run.
-- Their orders' ids are in no order, as those of a shop may be.
-- Differs because PostgreSQL has generate_series.
INSERT INTO events (organization_id, id, event_code, data, created_at, subject, reference_1)
SELECT t.organization_id, 'evt_' || lpad(to_hex(n), 32, '0'), $5, $6, $4::bigint + n / 1000,
  'ord_' || lpad(to_hex(n * 2654435761 % 4294967296), 16, '0'), 'A-' || n
FROM generate_series($1::bigint, $2::bigint - 1) AS n JOIN webhook_slots t ON t.number = n % $3::bigint
ORDER BY n
