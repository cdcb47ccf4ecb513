-- Select replays that were never created, though some of their events were stored long ago.
SELECT c.replay_id FROM replay_chunks c WHERE c.number = 0 AND c.created_at < ?
  AND NOT EXISTS (SELECT 1 FROM replays r WHERE r.id = c.replay_id) LIMIT 1
