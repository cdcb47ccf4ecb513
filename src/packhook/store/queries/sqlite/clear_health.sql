-- Forget the failures of a webhook.
DELETE FROM webhook_health WHERE webhook_id = ?
