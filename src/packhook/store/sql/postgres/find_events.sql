-- Which of these events are there.
SELECT e.id FROM unnest($1::text[], $2::text[]) AS asked (organization_id, id)
JOIN events e ON e.organization_id = asked.organization_id AND e.id = asked.id
