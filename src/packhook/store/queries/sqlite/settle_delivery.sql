-- Write the outcome of an attempt; no change where the lease is no longer the delivery's.
UPDATE deliveries SET status = ?, claimable_at = ?, leased_until = NULL, urgency = ?, attempt_count = ?, updated_at = ?,
  lease = 0
WHERE rowid = ? AND lease = ? AND status = 'sending'
