-- A page of an organization's or a webhook's deliveries: of those that are filed, and of the newest, which are not.
-- Differs because lists are written late here.
SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
FROM deliveries WHERE seq IN (
  SELECT seq FROM (SELECT seq FROM deliveries WHERE filed = 1 AND {conditions} ORDER BY id {order} LIMIT :limit)
  UNION ALL SELECT seq FROM (
    SELECT seq FROM deliveries WHERE seq > (SELECT deliveries_filed FROM filing) AND {conditions}
    ORDER BY id {order} LIMIT :limit))
ORDER BY id {order} LIMIT :limit
