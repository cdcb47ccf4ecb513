-- Remember what was answered; a stale entry of the same key is overwritten.
INSERT OR REPLACE INTO idempotency_keys (organization_id, key, fingerprint, receipts, created_at) VALUES (?, ?, ?, ?, ?)
