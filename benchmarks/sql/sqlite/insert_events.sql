-- Insert old events from number ?1 to before number ?2: their ids sort before those of the run.
-- Their orders' ids are in no order, as those of a shop may be.
WITH RECURSIVE numbers (number) AS (
  SELECT ?1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?2)
INSERT INTO events (organization_id, id, event_code, data, created_at, subject, reference_1)
SELECT t.organization_id, 'evt_' || printf('%032x', n.number), ?5, ?6, ?4 + n.number / 1000,
  'ord_' || printf('%016x', n.number * 2654435761 % 4294967296), 'A-' || n.number
FROM numbers n JOIN temp.webhook_slots t ON t.number = n.number % ?3
ORDER BY n.number
