-- Drop the numbered webhooks.
DROP TABLE temp.webhook_slots
