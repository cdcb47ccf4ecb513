-- At start, alone with the database: what a dead process had leased is due now.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, lease = 0, updated_at = ?1
WHERE status = 'sending' RETURNING id, webhook_id, organization_id
