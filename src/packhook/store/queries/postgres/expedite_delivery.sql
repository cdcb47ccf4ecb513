-- End the waits of deliveries: they are due now.
-- Differs because it takes many deliveries at once.
UPDATE deliveries d SET claimable_at = $1, planned_at = NULL, updated_at = $1
FROM unnest($2::text[], $3::text[]) AS waiting (organization_id, id)
WHERE d.organization_id = waiting.organization_id AND d.id = waiting.id
