-- Delete the interruptions of events.
-- Differs because it takes many events at once.
DELETE FROM interruptions WHERE delivery_id IN (SELECT id FROM deliveries WHERE event_id = ANY ($1::text[]))
