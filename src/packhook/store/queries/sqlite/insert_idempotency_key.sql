-- Store the response of a publish; a stale entry with the same key is overwritten.
INSERT OR REPLACE INTO idempotency_keys (organization_id, key, fingerprint, receipts, created_at) VALUES (?, ?, ?, ?, ?)
