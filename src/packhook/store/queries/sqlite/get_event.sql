-- Select one event of an organization.
SELECT {event_columns} FROM events WHERE organization_id = ? AND id = ?
