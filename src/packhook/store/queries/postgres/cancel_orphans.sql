-- Cancel the deliveries of deleted webhooks that no node is sending. Found by way of the lanes.
-- Differs because a delivery that another node is settling is skipped.
WITH orphans AS (
  SELECT d.organization_id, d.id FROM lanes l
  JOIN webhooks w ON w.id = l.webhook_id AND w.deleted_at IS NOT NULL
  JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.status IN ('pending', 'sending')
  WHERE d.status = 'pending' OR d.claimable_at <= $1
  LIMIT $2 FOR UPDATE OF d SKIP LOCKED)
UPDATE deliveries d SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = $1
FROM orphans o WHERE d.organization_id = o.organization_id AND d.id = o.id
RETURNING d.id
