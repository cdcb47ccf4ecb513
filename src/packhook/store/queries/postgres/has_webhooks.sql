-- Select a row if there is a webhook.
SELECT id FROM webhooks WHERE deleted_at IS NULL LIMIT 1
