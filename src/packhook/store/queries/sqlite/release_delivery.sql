-- Make a leased delivery that was not sent due again; no change where the lease is another's.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, leased_until = NULL, lease = 0, updated_at = ?1
WHERE rowid = ?2 AND lease = ?3 AND status = 'sending' RETURNING id
