-- Insert one numbered webhook.
INSERT INTO webhook_slots VALUES ($1, $2, $3)
