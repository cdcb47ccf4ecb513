-- Forget the failures of webhooks.
-- Differs because it takes many webhooks at once.
DELETE FROM webhook_health WHERE webhook_id = ANY ($1::text[])
