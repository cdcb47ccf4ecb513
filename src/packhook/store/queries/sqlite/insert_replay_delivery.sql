-- Insert a delivery that a replay waits for.
INSERT INTO replay_deliveries (replay_id, position, delivery_id) VALUES (?, ?, ?)
