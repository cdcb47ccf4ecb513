-- What became of an attempt: its place in the batch; no row where the lease was no longer the delivery's.
UPDATE deliveries SET status = ?, claimable_at = ?, urgency = ?, attempt_count = ?, lease = 0, updated_at = ?
WHERE id = ? AND lease = ? AND status = 'sending' RETURNING ?
