-- Delete the attempts of deliveries.
-- Differs because it takes many deliveries at once.
DELETE FROM attempts WHERE delivery_id = ANY ($1::text[])
