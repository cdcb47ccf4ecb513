-- Insert one numbered webhook.
INSERT INTO temp.webhook_slots VALUES (?1, ?2, ?3)
