-- Select the lanes with something due, the longest waiting first, and whether their webhook may be sent to.
-- $4: whether webhooks with verification_pending are left out. $5: organizations that are left out.
-- Differs because the lanes are locked until the transaction ends, and the excluded ones are left out here.
SELECT l.webhook_id, l.organization_id, l.held_until,
  coalesce(w.enabled AND NOT w.paused AND w.deleted_at IS NULL AND NOT ($4::boolean AND w.verification_pending), false),
  w.version, l.expedite_before, l.expedite_after
FROM lanes l LEFT JOIN webhooks w ON w.id = l.webhook_id
WHERE l.due_at <= $1 AND l.webhook_id <> ALL ($3::text[]) AND l.organization_id <> ALL ($5::text[])
ORDER BY l.due_at LIMIT $2 FOR UPDATE OF l SKIP LOCKED
