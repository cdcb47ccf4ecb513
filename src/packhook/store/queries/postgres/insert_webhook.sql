-- Insert a webhook.
INSERT INTO webhooks ({webhook_columns}) VALUES ({webhook_values:1})
