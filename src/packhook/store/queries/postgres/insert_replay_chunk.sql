-- Insert some events that a replay has to queue.
-- Differs because it takes many rows at once.
INSERT INTO replay_chunks (replay_id, number, event_ids, created_at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])
