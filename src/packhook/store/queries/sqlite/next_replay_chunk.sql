-- Select the chunks of events that a replay queues next.
SELECT number, event_ids FROM replay_chunks WHERE replay_id = ? ORDER BY number DESC LIMIT ?
