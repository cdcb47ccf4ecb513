-- Insert an event that packhook itself publishes; no row where the organization is not there.
INSERT INTO events ({event_columns}) SELECT {event_values:1}
WHERE EXISTS (SELECT 1 FROM organizations WHERE id = ?2 AND deleted_at IS NULL)
RETURNING organization_id, id
