-- Cancel the unfinished replays of a webhook that was deleted.
-- Differs because it takes many webhooks at once.
UPDATE replays SET status = 'canceled', finished_at = $1, step_at = $1
WHERE webhook_id = ANY ($2::text[]) AND finished_at IS NULL
