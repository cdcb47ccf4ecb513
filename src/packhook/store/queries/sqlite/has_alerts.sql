-- Select a row where some webhook has an alert.
SELECT 1 FROM webhook_alerts LIMIT 1
