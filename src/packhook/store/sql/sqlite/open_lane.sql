-- Whatever held this webhook back is over.
UPDATE lanes SET held_until = 0, due_at = min(due_at, ?) WHERE webhook_id = ?
