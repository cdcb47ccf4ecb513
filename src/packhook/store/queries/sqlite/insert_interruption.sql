-- Insert an attempt with an unknown outcome.
INSERT INTO interruptions (delivery_id, noticed_at, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
