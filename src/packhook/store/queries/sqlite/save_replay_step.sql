-- Save what one step of a replay came to.
UPDATE replays SET status = ?1, queued = ?2, delivered = ?3, failed = ?4, finished_at = ?5, examined = ?6, step_at = ?7,
  stalled_steps = ?8
WHERE id = ?9
