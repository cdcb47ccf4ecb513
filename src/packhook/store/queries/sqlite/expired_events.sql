-- Select a range of events from the oldest on, with their age, and whether any delivery is still live, or to be made.
SELECT e.rowid, e.id, e.created_at, EXISTS (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending'))
  OR EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.id AND o.refused_at IS NULL), e.organization_id
FROM events e WHERE e.rowid > ? ORDER BY e.rowid LIMIT ?
