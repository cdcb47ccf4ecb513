-- Insert a delivery that a replay waits for.
-- Differs because it takes many deliveries at once.
INSERT INTO replay_deliveries (replay_id, position, delivery_id)
SELECT $1, * FROM unnest($2::bigint[], $3::text[])
