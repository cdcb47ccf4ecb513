-- Delete the deliveries of events.
-- Differs because it takes many events at once.
DELETE FROM deliveries WHERE event_id = ANY ($1::text[])
