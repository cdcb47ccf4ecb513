-- Disable webhooks that have failed for this long, at least ten times. Silence does not count, nor does a pause.
-- Differs because other nodes may do the same at the same time; each webhook is disabled by one.
UPDATE webhooks w SET enabled = false, disabled_reason = $2, updated_at = $3, version = version + 1
FROM webhook_health h
WHERE h.webhook_id = w.id AND h.failed_at - h.failing_since >= $1 AND h.failures >= 10 AND w.enabled
  AND NOT w.paused AND w.deleted_at IS NULL
RETURNING w.organization_id, w.id
