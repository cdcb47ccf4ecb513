-- Cancel the deliveries of deleted webhooks that no node is sending. Found by way of the lanes.
UPDATE deliveries SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = ?1
WHERE rowid IN (
  SELECT d.rowid FROM lanes l
  CROSS JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL
  WHERE d.status = 'pending' OR d.claimable_at <= ?1
  LIMIT ?2)
RETURNING id
