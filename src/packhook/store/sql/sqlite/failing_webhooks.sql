-- Webhooks that have gone on failing for so long, and often enough to be sure; silence does not count.
SELECT w.id FROM webhook_health h JOIN webhooks w ON w.id = h.webhook_id
WHERE h.failed_at - h.failing_since >= ? AND h.failures >= 10 AND w.enabled = 1 AND w.deleted_at IS NULL
