-- The deliveries of events that go.
-- Differs because it takes many events at once.
DELETE FROM deliveries WHERE event_id = ANY ($1::text[])
