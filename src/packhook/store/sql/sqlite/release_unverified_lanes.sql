-- Ownership is not required any more: what waited for it is due.
UPDATE lanes SET due_at = min(due_at, ?)
WHERE webhook_id IN (SELECT id FROM webhooks WHERE verification_pending = 1 AND deleted_at IS NULL)
