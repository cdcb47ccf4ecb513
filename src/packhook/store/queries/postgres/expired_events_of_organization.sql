-- Select events past their organization's retention from a range, and whether any delivery is still live, or to be made.
-- Differs because the order is by id: events have no number here; with EXISTS the planner may read all that is live, once.
SELECT e.organization_id, e.id, e.created_at, (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending') LIMIT 1) IS NOT NULL
  OR (SELECT 1 FROM outbox o WHERE o.event_id = e.id AND o.refused_at IS NULL LIMIT 1) IS NOT NULL
FROM (
  SELECT organization_id, id, created_at FROM events
  WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $4) e
WHERE e.created_at < $3 ORDER BY e.id
