-- Delete replays that were finished or canceled before retention, and need no step any more.
DELETE FROM replays WHERE id = ANY (ARRAY (
  SELECT id FROM replays WHERE finished_at < $1 AND step_at IS NULL ORDER BY finished_at LIMIT $2))
RETURNING 1
