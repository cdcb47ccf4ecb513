-- The deliveries of an event that goes.
DELETE FROM deliveries WHERE event_id = ?
