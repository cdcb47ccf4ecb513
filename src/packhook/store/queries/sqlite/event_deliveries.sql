-- Select the deliveries of one event.
SELECT {delivery_columns} FROM deliveries WHERE event_id = ? AND +organization_id = ? ORDER BY id
