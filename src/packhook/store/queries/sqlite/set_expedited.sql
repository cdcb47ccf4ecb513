-- Record how far the waits of a lane have been ended; 0 is all of them.
UPDATE lanes SET expedite_before = ?, expedite_after = ? WHERE webhook_id = ?
