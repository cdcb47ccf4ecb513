-- A page of an organization's events: of those that are filed, and of the newest, which are not.
-- Differs because lists are written late here.
SELECT id, organization_id, event_code, data, created_at FROM events
WHERE seq IN (
  SELECT seq FROM (SELECT seq FROM filed_events WHERE {conditions} ORDER BY id {order} LIMIT :limit)
  UNION ALL SELECT seq FROM (
    SELECT seq FROM events WHERE seq > (SELECT events FROM filing) AND {conditions} ORDER BY id {order} LIMIT :limit))
ORDER BY id {order} LIMIT :limit
