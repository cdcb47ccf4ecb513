-- When it was told that a webhook goes on failing, so that it is told once.

ALTER TABLE webhook_health ADD COLUMN warned_at INTEGER;
