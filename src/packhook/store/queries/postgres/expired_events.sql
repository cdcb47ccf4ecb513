-- Select a range of events from the oldest on, with their age, and whether any delivery is still live or to be made.
-- Differs because the order is by age: events have no number here; with EXISTS the planner may read all that is live, once.
SELECT e.organization_id, e.id, e.created_at, (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending') LIMIT 1) IS NOT NULL
  OR (SELECT 1 FROM outbox o WHERE o.event_id = e.id AND o.refused_at IS NULL LIMIT 1) IS NOT NULL
FROM events e WHERE (e.created_at, e.id) > ($1, $2) ORDER BY e.created_at, e.id LIMIT $3
