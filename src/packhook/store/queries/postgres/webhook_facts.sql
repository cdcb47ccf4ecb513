-- Select what operational events say of webhooks.
-- Differs because it takes an array.
SELECT w.organization_id, w.id, w.event_code, w.endpoint, w.disabled_reason, h.failing_since, h.failed_at,
  coalesce(h.failures, 0), coalesce(h.cause, ''), coalesce(a.warnings, 0)
FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id LEFT JOIN webhook_alerts a ON a.webhook_id = w.id
WHERE w.id = ANY ($1::text[]) ORDER BY w.id
