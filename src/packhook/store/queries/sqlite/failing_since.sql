-- Select which of these webhooks fail, and since when.
SELECT webhook_id, failing_since FROM webhook_health WHERE webhook_id IN (SELECT value FROM json_each(?))
