-- Lanes with something due, the longest waiting first, and whether their webhook may be sent to.
SELECT l.webhook_id, l.organization_id, l.held_until, coalesce(w.enabled AND w.deleted_at IS NULL, 0), w.version
FROM lanes l LEFT JOIN webhooks w ON w.id = l.webhook_id
WHERE l.due_at <= ? ORDER BY l.due_at LIMIT ?
