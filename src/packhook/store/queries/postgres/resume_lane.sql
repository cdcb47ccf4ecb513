-- End the hold of a lane.
-- Differs because a lane is woken by another statement.
UPDATE lanes SET held_until = 0 WHERE webhook_id = $1
