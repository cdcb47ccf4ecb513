-- Keys past their day, that come again, are forgotten.
DELETE FROM idempotency_keys k
USING unnest($1::text[], $2::text[], $3::bigint[]) AS asked (organization_id, key, stale_before)
WHERE k.organization_id = asked.organization_id AND k.key = asked.key AND k.created_at < asked.stale_before
