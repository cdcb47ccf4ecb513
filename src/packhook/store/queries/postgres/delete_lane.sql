-- Delete empty lanes.
-- Differs because it takes many lanes at once.
DELETE FROM lanes WHERE webhook_id = ANY ($1::text[])
