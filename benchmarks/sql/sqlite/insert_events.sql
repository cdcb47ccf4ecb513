-- Insert old events from number ?1 to before number ?2, one each ?7 microseconds, a quarter of them to the first webhook.
-- Three events have one order. The orders' ids are in no order, as those of a shop may be, their references in order.
WITH RECURSIVE numbers (number) AS (
  SELECT ?1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?2)
INSERT INTO events (organization_id, id, event_code, data, created_at, subject, reference_1, reference_2)
SELECT t.organization_id, 'evt_' || printf('%012x7%019x', ?4 + n.number * ?7 / 1000, n.number),
  ?5, ?6, ?4 + n.number * ?7 / 1000, 'ord_' || printf('%016x', n.number / 3 * 2654435761 % 4294967296), 'A-' || n.number / 3,
  'shop-' || printf('%08x', n.number * 2246822519 % 4294967296)
FROM numbers n JOIN temp.webhook_slots t ON t.number = CASE WHEN n.number / 7 % 4 = 0 THEN 0 ELSE n.number % ?3 END
ORDER BY n.number
