-- Erase the data of events that have some; no row for the others.
-- Differs because it takes many events at once.
UPDATE events SET data = 'null', erased_at = $1
WHERE organization_id = $2 AND id = ANY ($3::text[]) AND erased_at IS NULL RETURNING id
