-- Lock the deliveries of these events until the transaction ends.
SELECT event_id, status FROM deliveries WHERE event_id = ANY ($1::text[]) ORDER BY event_id, id FOR UPDATE
