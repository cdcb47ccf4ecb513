-- Webhooks as the sender sees them.
SELECT w.id, w.organization_id, event_code, endpoint, secret, enabled, created_at, updated_at, version, description, headers,
  rate_limit, timeout, retry_schedule, disabled_reason, client_certificate, client_key, verification_pending,
  verified_at, allowed_rate,
  h.gone_since, h.failing_since, coalesce(l.held_until, 0)
FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id LEFT JOIN lanes l ON l.webhook_id = w.id
WHERE w.id IN (SELECT value FROM json_each(?)) AND w.deleted_at IS NULL
