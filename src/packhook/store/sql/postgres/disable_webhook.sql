-- packhook itself disables webhooks, and says why.
-- Differs because it takes many webhooks at once.
UPDATE webhooks w SET enabled = false, disabled_reason = given.reason, updated_at = given.at, version = version + 1
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (id, reason, at)
WHERE w.id = given.id AND w.enabled AND w.deleted_at IS NULL
RETURNING w.organization_id, w.id, given.reason, given.at
