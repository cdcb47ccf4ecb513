-- Make the deliveries of unverified webhooks due: verification is no longer required.
-- Differs because a lane is woken, not updated.
INSERT INTO lane_wakeups (webhook_id, organization_id, due_at)
SELECT l.webhook_id, l.organization_id, $1 FROM lanes l JOIN webhooks w ON w.id = l.webhook_id
WHERE w.verification_pending AND w.deleted_at IS NULL
