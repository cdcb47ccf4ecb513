-- Delete replays that were finished or canceled before retention, and need no step any more.
DELETE FROM replays WHERE id IN (
  SELECT id FROM replays WHERE finished_at < ? AND step_at IS NULL ORDER BY finished_at LIMIT ?)
