-- Delete idempotency keys past their retention, the oldest first.
DELETE FROM idempotency_keys WHERE (organization_id, key) IN (
  SELECT organization_id, key FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)
