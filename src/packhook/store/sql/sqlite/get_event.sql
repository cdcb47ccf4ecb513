-- One event of an organization.
SELECT id, organization_id, event_code, data, created_at FROM events WHERE seq = ? AND organization_id = ? AND id = ?
