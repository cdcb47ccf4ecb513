-- A lane was looked through: nothing is claimable in it before this instant.
UPDATE lanes SET due_at = ? WHERE webhook_id = ?
