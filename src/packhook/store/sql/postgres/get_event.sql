-- One event of an organization.
SELECT id, organization_id, event_code, data, created_at FROM events WHERE organization_id = $1 AND id = $2
