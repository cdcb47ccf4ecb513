-- Delete idempotency keys past their retention, the oldest first.
DELETE FROM idempotency_keys WHERE created_at < $1 AND (organization_id, key) IN (
  SELECT organization_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)
RETURNING 1
