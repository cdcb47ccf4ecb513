-- Select the subjects of these events.
-- Differs because it takes many events at once.
SELECT e.id, e.subject FROM unnest($1::text[], $2::text[]) AS wanted (organization_id, id)
JOIN events e ON e.organization_id = wanted.organization_id AND e.id = wanted.id
