-- Select the lanes with something due, the longest waiting first, and whether their webhook may be sent to.
-- ?3: whether webhooks with verification_pending are left out.
SELECT l.webhook_id, l.organization_id, l.held_until,
  coalesce(w.enabled AND w.deleted_at IS NULL AND NOT (?3 AND w.verification_pending), 0), w.version
FROM lanes l LEFT JOIN webhooks w ON w.id = l.webhook_id
WHERE l.due_at <= ?1 ORDER BY l.due_at LIMIT ?2
