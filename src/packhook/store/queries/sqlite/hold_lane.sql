-- Send nothing to this webhook before this instant.
UPDATE lanes SET held_until = max(held_until, ?) WHERE webhook_id = ?
