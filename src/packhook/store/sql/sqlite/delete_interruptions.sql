-- The interruptions of an event that goes.
DELETE FROM interruptions WHERE delivery_id IN (SELECT id FROM deliveries WHERE event_id = ?)
