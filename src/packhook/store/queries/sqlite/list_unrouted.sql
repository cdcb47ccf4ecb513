-- Select events that have no deliveries yet, in the order of their publishing.
SELECT {event_columns:e.} FROM outbox o JOIN events e ON e.organization_id = o.organization_id AND e.id = o.event_id
WHERE o.refused_at IS NULL ORDER BY o.position LIMIT ?
