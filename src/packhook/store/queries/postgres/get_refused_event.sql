-- Select an event that was given up, and lock its outbox entry.
-- Differs because another node may change it at the same time.
SELECT o.event_id, o.organization_id, e.event_code, e.created_at, o.refused_at, o.reason
FROM outbox o JOIN events e ON e.organization_id = o.organization_id AND e.id = o.event_id
WHERE o.event_id = $2 AND o.organization_id = $1 AND o.refused_at IS NOT NULL FOR UPDATE OF o
