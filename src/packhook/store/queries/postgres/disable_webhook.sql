-- Disable webhooks automatically, each with its reason.
-- Differs because it takes many webhooks at once.
UPDATE webhooks w SET enabled = false, disabled_reason = disabled.reason, updated_at = disabled.at, version = version + 1
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS disabled (id, reason, at)
WHERE w.id = disabled.id AND w.enabled AND w.deleted_at IS NULL
RETURNING w.organization_id, w.id, disabled.reason, disabled.at
