-- At start, alone with the database: what a dead process had leased is due now; found by way of the lanes.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, lease = 0, updated_at = ?1
WHERE id IN (
  SELECT d.id FROM lanes l
  CROSS JOIN deliveries d ON d.webhook_id = l.webhook_id AND d.status IN ('pending', 'sending') AND d.status = 'sending')
RETURNING id, webhook_id, organization_id, attempt_count
