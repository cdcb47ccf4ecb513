-- What was answered when these keys first came.
-- Differs because it takes many keys at once, after the new and the stale ones were written.
SELECT k.organization_id, k.key, k.fingerprint, k.receipts
FROM unnest($1::text[], $2::text[]) AS asked (organization_id, key)
JOIN idempotency_keys k ON k.organization_id = asked.organization_id AND k.key = asked.key
