-- Cancel pending deliveries past retention whose webhook is disabled, paused, or awaits verification that is required (?4).
-- Past the organization's own retention, if it has one. Found by way of the lanes, whatever the planner estimates.
-- Ids sort by time, to a minute: of what waits, only what is past retention is read.
UPDATE deliveries SET status = 'canceled', claimable_at = NULL, lease = 0, updated_at = ?1
WHERE rowid IN (
  SELECT d.rowid FROM lanes l
  CROSS JOIN webhooks w ON w.id = l.webhook_id AND (w.enabled = 0 OR w.paused = 1 OR (?4 AND w.verification_pending = 1))
  CROSS JOIN organizations o ON o.id = w.organization_id
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL
    AND d.id < 'dlv_' || printf('%012x', max(coalesce(?1 - o.retention, ?2) + 60000, 0))
  WHERE d.status = 'pending' AND d.created_at < coalesce(?1 - o.retention, ?2)
  LIMIT ?3)
RETURNING id
