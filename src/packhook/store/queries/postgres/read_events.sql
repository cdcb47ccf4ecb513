-- Select events by id.
-- Differs because OFFSET 0 has each event looked up by its key, whatever the planner estimates.
SELECT {event_columns:e.} FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN LATERAL (
  SELECT {event_columns} FROM events WHERE organization_id = $2 AND id = wanted.id OFFSET 0) AS e
