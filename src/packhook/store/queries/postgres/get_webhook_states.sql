-- Select webhooks with their health and hold, as the sender needs them.
SELECT {webhook_columns:w.}, h.gone_since, h.failing_since, coalesce(l.held_until, 0)
FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id LEFT JOIN lanes l ON l.webhook_id = w.id
WHERE w.id = ANY ($1::text[]) AND w.deleted_at IS NULL
