-- Select the stored response of this idempotency key.
SELECT fingerprint, receipts FROM idempotency_keys WHERE organization_id = ? AND key = ? AND created_at >= ?
