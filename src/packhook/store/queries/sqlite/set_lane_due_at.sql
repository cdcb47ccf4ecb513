-- Record that nothing is claimable in a lane before this instant.
UPDATE lanes SET due_at = ? WHERE webhook_id = ?
