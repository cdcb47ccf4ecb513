-- Delete the alerts of deleted webhooks.
-- Differs because it takes many webhooks at once.
DELETE FROM webhook_alerts WHERE webhook_id = ANY ($1::text[])
