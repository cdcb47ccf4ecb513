-- Erase what was received in attempts of an event, at most so many attempts.
UPDATE attempts SET response_headers = '[]', response_body = CAST('' AS BLOB) WHERE (delivery_id, number) IN (
  SELECT a.delivery_id, a.number FROM deliveries d CROSS JOIN attempts a ON a.delivery_id = d.id
  WHERE d.event_id = ?1 AND (length(a.response_body) > 0 OR a.response_headers <> '[]') LIMIT ?2)
