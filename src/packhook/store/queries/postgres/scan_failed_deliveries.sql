-- Select exhausted and canceled deliveries of a webhook before this one, newest first.
-- Differs because OFFSET 0 has each event looked up by its key, whatever the planner estimates.
SELECT d.id, d.event_id, d.event_code, d.created_at, coalesce(e.subject, ''), d.status, e.erased_at IS NOT NULL
FROM (
  SELECT * FROM (
    SELECT id, organization_id, event_id, event_code, created_at, status FROM deliveries
    WHERE webhook_id = $1 AND status = 'exhausted' AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4) AS exhausted
  UNION ALL SELECT * FROM (
    SELECT id, organization_id, event_id, event_code, created_at, status FROM deliveries
    WHERE webhook_id = $1 AND status = 'canceled' AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4) AS canceled
  ORDER BY id DESC LIMIT $4) AS d
LEFT JOIN LATERAL (
  SELECT subject, erased_at FROM events WHERE organization_id = d.organization_id AND id = d.event_id OFFSET 0) AS e ON true
ORDER BY d.id DESC
