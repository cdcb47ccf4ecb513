-- Delete a delivery that a replay has counted.
DELETE FROM replay_deliveries WHERE replay_id = ? AND position = ?
