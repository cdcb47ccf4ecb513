-- Insert some events that a replay has to queue.
INSERT INTO replay_chunks (replay_id, number, event_ids, created_at) VALUES ($1, $2, $3, $4)
