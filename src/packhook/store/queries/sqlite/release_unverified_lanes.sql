-- Make the deliveries of unverified webhooks due: verification is no longer required.
UPDATE lanes SET due_at = min(due_at, ?)
WHERE webhook_id IN (SELECT id FROM webhooks WHERE verification_pending = 1 AND deleted_at IS NULL)
