-- A stretch of events from the oldest on, when each was made, and whether it is still on its way.
-- Differs because the order is by age: rows have no number of their own here.
SELECT e.organization_id, e.id, e.created_at, EXISTS (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending'))
FROM events e WHERE (e.created_at, e.id) > ($1, $2) ORDER BY e.created_at, e.id LIMIT $3
