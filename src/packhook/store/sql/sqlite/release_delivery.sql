-- A leased delivery that was not sent is due again.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, handed_until = NULL, lease = 0, updated_at = ?1
WHERE seq = ?2 AND lease = ?3 AND status = 'sending' RETURNING id
