-- Erase what was received in attempts of these events, at most so many attempts.
-- Differs because it takes many events at once.
UPDATE attempts a SET response_headers = '[]', response_body = ''
FROM (
  SELECT a.delivery_id, a.number FROM unnest($1::text[]) AS e (id)
  CROSS JOIN LATERAL (SELECT id FROM deliveries WHERE event_id = e.id OFFSET 0) AS d
  CROSS JOIN LATERAL (
    SELECT delivery_id, number FROM attempts
    WHERE delivery_id = d.id AND (octet_length(response_body) > 0 OR response_headers <> '[]') OFFSET 0) AS a
  LIMIT $2) AS received
WHERE a.delivery_id = received.delivery_id AND a.number = received.number
RETURNING a.number
