-- Cancel pending deliveries past retention whose webhook is disabled, paused, or awaits verification that is required ($4).
-- Past the organization's own retention, if it has one. Found by way of the lanes. Ids sort by time, to a minute: of what
-- waits, only what is past retention is read.
-- Differs because a delivery that another node is handling is skipped.
WITH expired AS (
  SELECT d.organization_id, d.id FROM lanes l
  JOIN webhooks w ON w.id = l.webhook_id AND (NOT w.enabled OR w.paused OR ($4::boolean AND w.verification_pending))
  JOIN organizations o ON o.id = w.organization_id
  JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.status = 'pending'
    AND d.id < 'dlv_' || lpad(to_hex(greatest(coalesce($1 - o.retention, $2) + 60000, 0)), 12, '0')
  WHERE d.created_at < coalesce($1 - o.retention, $2)
  LIMIT $3 FOR UPDATE OF d SKIP LOCKED)
UPDATE deliveries d SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = $1
FROM expired e WHERE d.organization_id = e.organization_id AND d.id = e.id
RETURNING d.id
