-- Delete the alert of a deleted webhook.
DELETE FROM webhook_alerts WHERE webhook_id = ?
