-- What has waited past retention for a webhook that is disabled, or held as verification_pending, will not be sent; found by way of the lanes.
UPDATE deliveries SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = ?1
WHERE seq IN (
  SELECT d.seq FROM lanes l
  CROSS JOIN webhooks w ON w.id = l.webhook_id AND (w.enabled = 0 OR (?4 AND w.verification_pending = 1))
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL
  WHERE d.status = 'pending' AND d.created_at < ?2
  LIMIT ?3)
RETURNING id
