-- Ownership is not required any more: what waited for it is due.
-- Differs because that it is due now is a call to the lane.
INSERT INTO lane_calls (webhook_id, organization_id, due_at)
SELECT l.webhook_id, l.organization_id, $1 FROM lanes l JOIN webhooks w ON w.id = l.webhook_id
WHERE w.verification_pending AND w.deleted_at IS NULL
