-- Delete events past retention, and note the newest of each organization for readers that have not read it.
-- Differs because it takes many events at once, and an event is identified by its id here.
WITH gone AS (
  DELETE FROM events e USING unnest($1::text[], $2::text[]) AS expired (organization_id, id)
  WHERE e.organization_id = expired.organization_id AND e.id = expired.id
  RETURNING e.organization_id, e.position, e.id)
INSERT INTO feed_starts AS known (organization_id, position, event_id)
SELECT DISTINCT ON (organization_id) organization_id, position, id FROM gone ORDER BY organization_id, position DESC, id DESC
ON CONFLICT (organization_id) DO UPDATE SET position = excluded.position, event_id = excluded.event_id
WHERE (known.position, known.event_id) < (excluded.position, excluded.event_id)
