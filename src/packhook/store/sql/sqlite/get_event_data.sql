-- What a claimed delivery carries.
SELECT data, created_at FROM events WHERE organization_id = ? AND id = ?
