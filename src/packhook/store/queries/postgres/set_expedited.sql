-- Record how far the waits of a lane have been ended; 0 is all of them.
UPDATE lanes SET expedite_before = $1, expedite_after = $2 WHERE webhook_id = $3
