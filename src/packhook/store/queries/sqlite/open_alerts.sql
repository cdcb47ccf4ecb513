-- Note which of these enabled webhooks have failed often enough for a first warning and had none; return them.
INSERT INTO webhook_alerts (webhook_id, failing_since, warnings)
SELECT h.webhook_id, h.failing_since, 1 FROM webhook_health h JOIN webhooks w ON w.id = h.webhook_id
WHERE h.webhook_id IN (SELECT value FROM json_each(?)) AND h.failures >= ? AND w.enabled = 1 AND w.deleted_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM webhook_alerts known WHERE known.webhook_id = h.webhook_id AND known.warnings > 0)
ON CONFLICT (webhook_id) DO UPDATE SET failing_since = excluded.failing_since, warnings = 1
RETURNING webhook_id
