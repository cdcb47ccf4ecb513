-- Select events of one subject before this one, newest first, with their delivery to the webhook.
-- Differs because what packhook.publish() stored has its deliveries yet to be made: it counts as pending.
SELECT e.id, e.id, e.event_code, e.created_at, e.subject, coalesce(d.status, o.status), e.erased_at IS NOT NULL
FROM (
  SELECT id, event_code, created_at, subject, erased_at FROM events
  WHERE organization_id = $5 AND subject = $6 AND subject <> '' AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4) AS e
LEFT JOIN LATERAL (
  SELECT status FROM deliveries WHERE event_id = e.id AND webhook_id || '' = $1 OFFSET 0) AS d ON true
LEFT JOIN LATERAL (
  SELECT 'pending' AS status FROM outbox WHERE event_id = e.id OFFSET 0) AS o ON true
ORDER BY e.id DESC
