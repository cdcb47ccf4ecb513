-- Select the lanes with something due, the longest waiting first, and whether their webhook may be sent to.
-- ?3: whether webhooks with verification_pending are left out. ?4: organizations that are left out, as JSON.
SELECT l.webhook_id, l.organization_id, l.held_until,
  coalesce(w.enabled AND NOT w.paused AND w.deleted_at IS NULL AND NOT (?3 AND w.verification_pending), 0), w.version,
  l.expedite_before, l.expedite_after
FROM lanes l LEFT JOIN webhooks w ON w.id = l.webhook_id
WHERE l.due_at <= ?1 AND l.organization_id NOT IN (SELECT value FROM json_each(?4)) ORDER BY l.due_at LIMIT ?2
