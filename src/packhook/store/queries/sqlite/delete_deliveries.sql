-- Delete the deliveries of an event.
DELETE FROM deliveries WHERE event_id = ?
