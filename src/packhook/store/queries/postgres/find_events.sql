-- Select which of these events were stored.
SELECT e.id FROM unnest($1::text[], $2::text[]) AS wanted (organization_id, id)
JOIN events e ON e.organization_id = wanted.organization_id AND e.id = wanted.id
