-- A claimed delivery is this node's until its lease runs out.
UPDATE deliveries SET status = 'sending', lease = ?1, claimable_at = ?2, updated_at = ?3 WHERE seq = ?4
