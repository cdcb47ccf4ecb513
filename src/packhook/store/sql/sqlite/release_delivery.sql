-- A leased delivery that was not sent is due again.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, lease = 0, updated_at = ?1
WHERE id = ?2 AND lease = ?3 AND status = 'sending' RETURNING id
