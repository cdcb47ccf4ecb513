-- Select exhausted and canceled deliveries of a webhook before this one, newest first.
SELECT d.id, d.event_id, d.event_code, d.created_at, coalesce(e.subject, ''), d.status, e.erased_at IS NOT NULL
FROM (
  SELECT * FROM (
    SELECT id, organization_id, event_id, event_code, created_at, status FROM deliveries
    WHERE webhook_id = :webhook_id AND status = 'exhausted' AND id < :before AND id >= :first ORDER BY id DESC LIMIT :limit)
  UNION ALL SELECT * FROM (
    SELECT id, organization_id, event_id, event_code, created_at, status FROM deliveries
    WHERE webhook_id = :webhook_id AND status = 'canceled' AND id < :before AND id >= :first ORDER BY id DESC LIMIT :limit)
  ORDER BY id DESC LIMIT :limit) AS d
LEFT JOIN events e ON e.organization_id = d.organization_id AND e.id = d.event_id ORDER BY d.id DESC
