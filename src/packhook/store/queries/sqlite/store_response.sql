-- Store the response to a change with its idempotency key; no row where the key came before and is not stale.
INSERT INTO idempotency_keys AS known (organization_id, key, fingerprint, receipts, created_at, of_change)
VALUES (?, ?, ?, ?, ?, true)
ON CONFLICT (organization_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, receipts = excluded.receipts, created_at = excluded.created_at, of_change = true
WHERE known.created_at < ? RETURNING 1
