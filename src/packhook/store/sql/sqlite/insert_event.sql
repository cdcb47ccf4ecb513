-- An event, its data as the bytes that came.
INSERT INTO events (seq, organization_id, id, event_code, data, created_at) VALUES (?, ?, ?, ?, ?, ?)
