-- Select the stored responses of these idempotency keys.
-- Differs because it takes many keys at once, after the new and the stale ones were written.
SELECT k.organization_id, k.key, k.fingerprint, k.receipts, k.created_at
FROM unnest($1::text[], $2::text[]) AS wanted (organization_id, key)
JOIN idempotency_keys k ON k.organization_id = wanted.organization_id AND k.key = wanted.key
