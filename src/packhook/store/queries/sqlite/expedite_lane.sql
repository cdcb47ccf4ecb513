-- Ask the claims to end the waits of a lane's deliveries that were planned up to this instant.
UPDATE lanes SET expedite_before = ?1, expedite_after = 0, due_at = min(due_at, ?1) WHERE webhook_id = ?2
