-- Store the response to one idempotency key; no row where it came before and is not stale.
INSERT INTO idempotency_keys AS known (organization_id, key, fingerprint, receipts, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (organization_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, receipts = excluded.receipts, created_at = excluded.created_at
WHERE known.created_at < $6 RETURNING 1
