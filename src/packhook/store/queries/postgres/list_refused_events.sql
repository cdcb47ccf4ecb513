-- Select a page of the events that were given up.
SELECT r.id, r.organization_id, e.event_code, e.created_at, r.refused_at, r.reason
FROM (SELECT * FROM (
    SELECT event_id AS id, organization_id, refused_at, reason FROM outbox WHERE refused_at IS NOT NULL) AS refused
  WHERE {conditions} ORDER BY id {order} LIMIT :limit) AS r
JOIN events e ON e.organization_id = r.organization_id AND e.id = r.id
ORDER BY r.id {order}
