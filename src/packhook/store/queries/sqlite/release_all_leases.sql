-- At start, alone with the database: make everything that a dead process had leased due now.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, leased_until = NULL, lease = 0, updated_at = ?1
WHERE rowid IN (
  SELECT rowid FROM deliveries WHERE leased_until IS NOT NULL
  UNION ALL SELECT d.rowid FROM lanes l
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL AND d.status = 'sending')
RETURNING id, webhook_id, organization_id, attempt_count
