-- Select what operational events say of webhooks.
SELECT w.organization_id, w.id, w.event_code, w.endpoint, w.disabled_reason, h.failing_since, h.failed_at,
  coalesce(h.failures, 0), coalesce(h.cause, ''), coalesce(a.warnings, 0)
FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id LEFT JOIN webhook_alerts a ON a.webhook_id = w.id
WHERE w.id IN (SELECT value FROM json_each(?)) ORDER BY w.id
