-- Select events that packhook.publish() stored and that have no deliveries yet, of one organization after another.
-- Of those after $1, in the order of their publishing, at most $2 events with about $3 bytes of data, and at least one. A
-- step of the recursion is one look into the index: it costs as many as there are organizations, at most $4.
WITH RECURSIVE waiting AS (
  (SELECT organization_id, 1 AS place FROM outbox WHERE refused_at IS NULL AND organization_id > $1
    ORDER BY organization_id LIMIT 1)
  UNION ALL
  SELECT next.organization_id, w.place + 1 FROM waiting w CROSS JOIN LATERAL (
    SELECT o.organization_id FROM outbox o WHERE o.refused_at IS NULL AND o.organization_id > w.organization_id
    ORDER BY o.organization_id LIMIT 1) AS next
  WHERE w.place < $4::integer),
chosen AS (
  SELECT own.organization_id, own.event_id, own.turn, w.place
  FROM waiting w CROSS JOIN LATERAL (
    SELECT o.organization_id, o.event_id, row_number() OVER (ORDER BY o.position) AS turn
    FROM (SELECT * FROM outbox WHERE organization_id = w.organization_id AND refused_at IS NULL
      ORDER BY position LIMIT $2) AS o) AS own
  ORDER BY own.turn, w.place LIMIT $2),
sized AS (
  SELECT c.turn, c.place, e.*, sum(octet_length(e.data)) OVER (ORDER BY c.turn, c.place) - octet_length(e.data) AS before
  FROM chosen c JOIN events e ON e.organization_id = c.organization_id AND e.id = c.event_id)
SELECT {event_columns:s.} FROM sized s WHERE s.before < $3::bigint ORDER BY s.turn, s.place
