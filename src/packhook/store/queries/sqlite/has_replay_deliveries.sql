-- Select one delivery that a replay waits for.
SELECT 1 FROM replay_deliveries WHERE replay_id = ? LIMIT 1
