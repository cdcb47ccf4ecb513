-- Select webhooks that have failed for this long, at least ten times. Silence does not count, nor does a pause.
SELECT w.id FROM webhook_health h JOIN webhooks w ON w.id = h.webhook_id
WHERE h.failed_at - h.failing_since >= ? AND h.failures >= 10 AND w.enabled = 1 AND w.paused = 0 AND w.deleted_at IS NULL
