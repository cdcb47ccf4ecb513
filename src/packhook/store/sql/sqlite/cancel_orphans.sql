-- What nobody will send for a deleted webhook any more is canceled; found by way of the lanes, whatever the planner thinks.
UPDATE deliveries SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = ?1
WHERE seq IN (
  SELECT d.seq FROM lanes l
  CROSS JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL
  WHERE d.status = 'pending' OR d.claimable_at <= ?1
  LIMIT ?2)
RETURNING id
