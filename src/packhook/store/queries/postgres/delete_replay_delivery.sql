-- Delete a delivery that a replay has counted.
-- Differs because it takes many deliveries at once.
DELETE FROM replay_deliveries WHERE replay_id = $1 AND position = ANY ($2::bigint[])
