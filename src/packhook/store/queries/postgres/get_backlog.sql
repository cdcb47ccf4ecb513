-- Count the deliveries of a webhook that are not finished, up to a limit; select the oldest, and when the next is due.
-- Of more than the limit the oldest may be another; the organization's first ones that are not finished are read as well.
WITH live AS MATERIALIZED (
  SELECT created_at FROM deliveries WHERE webhook_id = $1 AND status IN ('pending', 'sending') LIMIT $3),
oldest AS MATERIALIZED (
  SELECT min(created_at) AS created_at FROM (
    SELECT webhook_id, created_at FROM deliveries
    WHERE organization_id = $2 AND status IN ('pending', 'sending') ORDER BY id LIMIT $3) AS first
  WHERE webhook_id = $1 AND (SELECT count(*) FROM live) >= $3)
SELECT (SELECT count(*) FROM live),
  (SELECT min(created_at) FROM (SELECT created_at FROM live UNION ALL SELECT created_at FROM oldest) AS found),
  (SELECT min(claimable_at) FROM (
    (SELECT claimable_at FROM deliveries
      WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 0 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)
    UNION ALL (SELECT claimable_at FROM deliveries
      WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 1 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)
    UNION ALL (SELECT claimable_at FROM deliveries
      WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 2 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)) AS next)
