-- Delete the interruptions of deliveries.
-- Differs because it takes many deliveries at once.
DELETE FROM interruptions WHERE delivery_id = ANY ($1::text[])
