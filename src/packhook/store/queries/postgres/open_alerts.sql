-- Note which of these enabled webhooks have failed often enough for a first warning and had none; return them.
INSERT INTO webhook_alerts AS a (webhook_id, failing_since, warnings)
SELECT h.webhook_id, h.failing_since, 1 FROM webhook_health h JOIN webhooks w ON w.id = h.webhook_id
WHERE h.webhook_id = ANY ($1::text[]) AND h.failures >= $2 AND w.enabled AND w.deleted_at IS NULL
  AND NOT EXISTS (SELECT FROM webhook_alerts known WHERE known.webhook_id = h.webhook_id AND known.warnings > 0)
ORDER BY h.webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET failing_since = excluded.failing_since, warnings = 1 WHERE a.warnings = 0
RETURNING webhook_id
