-- Lock deliveries of these events until the transaction ends, event by event, at most so many.
SELECT event_id, status, organization_id, id FROM deliveries WHERE event_id = ANY ($1::text[])
ORDER BY event_id, id LIMIT $2 FOR UPDATE
