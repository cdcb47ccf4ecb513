-- Select which readers have an event behind their position, by number from 1, and whether it is readable yet.
-- $1, $2, $3: the organization and the position of each reader.
SELECT w.number, e.position < (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + coalesce((
  SELECT convert_from(value, 'UTF8')::bigint FROM instance WHERE name = 'feed_shift'), 0))
FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS w (organization_id, position, id, number)
CROSS JOIN LATERAL (
  SELECT position FROM events
  WHERE events.organization_id = w.organization_id AND (events.position, events.id) > (w.position, w.id)
  ORDER BY position, id LIMIT 1) e
