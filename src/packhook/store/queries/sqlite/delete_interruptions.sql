-- Delete the interruptions of an event.
DELETE FROM interruptions WHERE delivery_id IN (SELECT id FROM deliveries WHERE event_id = ?)
