-- A page of an organization's deliveries of one event code: the newest of each webhook that may have some, merged.
-- Differs because a subquery in FROM knows nothing of what stands before it, and lists are written late here.
SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
FROM deliveries WHERE seq IN (
  SELECT d.seq FROM webhooks w CROSS JOIN deliveries d ON d.seq IN (
    SELECT seq FROM deliveries WHERE webhook_id = w.id AND filed = 1 AND {conditions} ORDER BY id {order} LIMIT :limit)
  WHERE w.organization_id = :organization_id AND (w.event_code = :event_code OR w.recoded)
  UNION ALL SELECT seq FROM (
    SELECT seq FROM deliveries WHERE seq > (SELECT deliveries_filed FROM filing) AND {conditions}
    ORDER BY id {order} LIMIT :limit))
ORDER BY id {order} LIMIT :limit
