-- Select events by id.
SELECT {event_columns:e.} FROM json_each(?1) AS wanted
CROSS JOIN events e ON e.organization_id = ?2 AND e.id = wanted.value
