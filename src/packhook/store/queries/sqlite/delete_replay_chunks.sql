-- Delete the next chunks of a replay.
DELETE FROM replay_chunks WHERE replay_id = ?1 AND number IN (
  SELECT number FROM replay_chunks WHERE replay_id = ?1 ORDER BY number DESC LIMIT ?2)
