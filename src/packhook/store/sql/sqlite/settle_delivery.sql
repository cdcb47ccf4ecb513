-- What became of an attempt; nothing where the lease was no longer the delivery's.
-- Differs because RETURNING is dear here: what was settled is counted, and bears the mark in place of its lease.
UPDATE deliveries SET status = ?, claimable_at = ?, handed_until = NULL, urgency = ?, attempt_count = ?, updated_at = ?,
  lease = ?
WHERE seq = ? AND lease = ? AND status = 'sending'
