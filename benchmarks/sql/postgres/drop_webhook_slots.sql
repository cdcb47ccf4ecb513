-- Drop the numbered webhooks.
DROP TABLE webhook_slots
