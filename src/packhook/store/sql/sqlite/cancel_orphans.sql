-- What waits for webhooks that were deleted is canceled.
UPDATE deliveries SET status = 'canceled', claimable_at = NULL, updated_at = ?1
WHERE id IN (
  SELECT d.id FROM lanes l
  JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.status IN ('pending', 'sending') AND d.status = 'pending'
  LIMIT ?2)
RETURNING id
