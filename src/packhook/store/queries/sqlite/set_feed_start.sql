-- Note an event that retention removed, for readers that have not read it.
INSERT INTO feed_starts (organization_id, position, event_id) VALUES (?, ?, ?)
ON CONFLICT (organization_id) DO UPDATE SET position = excluded.position, event_id = excluded.event_id
WHERE position < excluded.position
