-- Select the deliveries of one event.
SELECT {delivery_columns} FROM deliveries WHERE event_id = $1 AND organization_id || '' = $2 ORDER BY id
