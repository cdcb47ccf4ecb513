-- Delete events past retention.
-- Differs because it takes many events at once, and an event is identified by its id here.
DELETE FROM events e USING unnest($1::text[], $2::text[]) AS expired (organization_id, id)
WHERE e.organization_id = expired.organization_id AND e.id = expired.id
