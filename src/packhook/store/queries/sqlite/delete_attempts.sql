-- Delete attempts of an event, at most so many.
DELETE FROM attempts WHERE (delivery_id, number) IN (
  SELECT a.delivery_id, a.number FROM deliveries d CROSS JOIN attempts a ON a.delivery_id = d.id WHERE d.event_id = ? LIMIT ?)
