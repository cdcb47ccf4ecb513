-- Cancel the unfinished replays of a webhook that was deleted.
UPDATE replays SET status = 'canceled', finished_at = ?1, step_at = ?1 WHERE webhook_id = ?2 AND finished_at IS NULL
