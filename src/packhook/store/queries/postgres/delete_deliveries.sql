-- Delete deliveries.
-- Differs because it takes many of several events at once.
DELETE FROM deliveries d USING unnest($1::text[], $2::text[]) AS expired (organization_id, id)
WHERE d.organization_id = expired.organization_id AND d.id = expired.id
