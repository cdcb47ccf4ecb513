-- Select events past their organization's retention from a range, and whether any delivery is still live, or to be made.
SELECT e.rowid, e.id, e.created_at, EXISTS (
  SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.status IN ('pending', 'sending'))
  OR EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.id AND o.refused_at IS NULL), e.organization_id
FROM (
  SELECT rowid, id, created_at, organization_id FROM events INDEXED BY events_feed
  WHERE organization_id = ?1 AND rowid > ?2 ORDER BY rowid LIMIT ?4) e
WHERE e.created_at < ?3 ORDER BY e.rowid
