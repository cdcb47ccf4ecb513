-- Select events of one subject before this one, newest first, with their delivery to the webhook.
-- What is in the outbox has its deliveries yet to be made: it counts as pending.
SELECT e.id, e.id, e.event_code, e.created_at, e.subject,
  coalesce(d.status, (SELECT 'pending' FROM outbox o WHERE o.event_id = e.id)), e.erased_at IS NOT NULL
FROM (
  SELECT id, event_code, created_at, subject, erased_at FROM events
  WHERE organization_id = :organization_id AND subject = :subject AND subject <> '' AND id < :before AND id >= :first
  ORDER BY id DESC LIMIT :limit) AS e
LEFT JOIN deliveries d ON d.event_id = e.id AND +d.webhook_id = :webhook_id ORDER BY e.id DESC
