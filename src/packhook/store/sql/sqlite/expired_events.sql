-- A stretch of events from the oldest on, when each was made, and whether it is still on its way.
SELECT e.seq, e.organization_id, e.id, e.created_at, EXISTS (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending'))
FROM events e WHERE e.seq > ? ORDER BY e.seq LIMIT ?
