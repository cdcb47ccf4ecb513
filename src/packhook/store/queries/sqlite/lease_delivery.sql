-- Lease a claimed delivery to this node.
UPDATE deliveries SET status = 'sending', lease = ?1, claimable_at = ?2, updated_at = ?3 WHERE rowid = ?4
