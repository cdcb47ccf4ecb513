-- Whatever held this webhook back is over.
-- Differs because that it is due now is a call to the lane.
UPDATE lanes SET held_until = 0 WHERE webhook_id = $1
