-- Cancel live deliveries: the outcome of an attempt under way is not recorded.
-- Differs because it takes many deliveries at once.
UPDATE deliveries d SET status = 'canceled', claimable_at = NULL, planned_at = NULL, lease = 0, updated_at = $1
FROM unnest($2::text[], $3::text[]) AS live (organization_id, id)
WHERE d.organization_id = live.organization_id AND d.id = live.id
