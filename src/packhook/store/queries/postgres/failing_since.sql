-- Select which of these webhooks fail, and since when.
SELECT webhook_id, failing_since FROM webhook_health WHERE webhook_id = ANY ($1::text[])
