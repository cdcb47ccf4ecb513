-- Delete the alerts of those of these webhooks that are enabled; return them, with since when they had failed.
DELETE FROM webhook_alerts a USING webhooks w
WHERE a.webhook_id = ANY ($1::text[]) AND w.id = a.webhook_id AND w.enabled AND w.deleted_at IS NULL
RETURNING a.webhook_id, a.failing_since
