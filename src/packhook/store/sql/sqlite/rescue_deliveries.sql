-- At start, alone with the database: what a dead process had leased is due now; found by way of the lanes, or as handed over.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, handed_until = NULL, lease = 0, updated_at = ?1
WHERE seq IN (
  SELECT seq FROM deliveries WHERE handed_until IS NOT NULL
  UNION ALL SELECT d.seq FROM lanes l
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.claimable_at IS NOT NULL AND d.status = 'sending')
RETURNING id, webhook_id, organization_id, attempt_count
