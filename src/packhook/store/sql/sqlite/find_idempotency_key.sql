-- What was answered when this key first came.
SELECT fingerprint, receipts FROM idempotency_keys WHERE organization_id = ? AND key = ? AND created_at >= ?
