-- An attempt that may have been made, and of which nobody knows the outcome.
INSERT INTO interruptions (delivery_id, noticed_at, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
