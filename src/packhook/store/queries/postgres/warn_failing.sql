-- Mark enabled webhooks that have failed for this long, at least five times, and were not reported yet.
UPDATE webhook_health SET warned_at = $1
WHERE warned_at IS NULL AND failed_at - failing_since >= $2 AND failures >= 5 AND EXISTS (
  SELECT 1 FROM webhooks w WHERE w.id = webhook_id AND w.enabled AND NOT w.paused AND w.deleted_at IS NULL)
RETURNING webhook_id, failing_since
