-- Events past retention go.
-- Differs because it takes many events at once, and an event is known by its id here.
DELETE FROM events e USING unnest($1::text[], $2::text[]) AS gone (organization_id, id)
WHERE e.organization_id = gone.organization_id AND e.id = gone.id
