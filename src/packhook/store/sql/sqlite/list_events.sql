-- A page of an organization's events: of those that are filed, and of the newest, which are not.
-- Differs because lists are written late here. What is sorted is without the data.
SELECT e.id, e.organization_id, e.event_code, e.data, e.created_at FROM (
  SELECT seq, id FROM (
    SELECT * FROM (SELECT seq, id FROM filed_events WHERE {conditions} ORDER BY id {order} LIMIT :limit)
    UNION ALL SELECT * FROM (
      SELECT seq, id FROM events WHERE seq > (SELECT events_filed FROM filing) AND {conditions}
      ORDER BY id {order} LIMIT :limit))
  ORDER BY id {order} LIMIT :limit) AS page
CROSS JOIN events e ON e.seq = page.seq
ORDER BY page.id {order}
