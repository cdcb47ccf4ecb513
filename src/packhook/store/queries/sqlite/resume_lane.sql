-- End the hold of a lane.
UPDATE lanes SET held_until = 0, due_at = min(due_at, ?) WHERE webhook_id = ?
