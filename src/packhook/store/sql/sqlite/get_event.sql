-- One event.
SELECT id, organization_id, event_code, data, created_at FROM events WHERE seq = ?
