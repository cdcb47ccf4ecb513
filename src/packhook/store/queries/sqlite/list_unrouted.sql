-- Select events whose deliveries are yet to be made, and through which webhook they are made.
-- Of the organizations after this one, each in the order of its publishing.
SELECT {event_columns:e.}, o.made_through
FROM outbox o CROSS JOIN events e ON e.organization_id = o.organization_id AND e.id = o.event_id
WHERE o.refused_at IS NULL AND o.organization_id > ? ORDER BY o.organization_id, o.position LIMIT ?
