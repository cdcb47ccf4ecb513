-- Count the deliveries of a webhook that are not finished, up to a limit; select the oldest, and when the next is due.
-- Ids sort by time: the first is the oldest. The count reads the index of what waits, and all that is being sent.
-- Differs because the empty text keeps PostgreSQL from looking for what is being sent among what waits.
WITH sent AS MATERIALIZED (
  SELECT created_at FROM deliveries WHERE status = 'sending' AND webhook_id || '' = $1 LIMIT $2)
SELECT (SELECT count(*) FROM (
    SELECT id FROM deliveries WHERE webhook_id = $1 AND status = 'pending' ORDER BY id LIMIT $2) AS waiting)
    + (SELECT count(*) FROM sent),
  (SELECT min(created_at) FROM (SELECT created_at FROM sent UNION ALL SELECT * FROM (
    SELECT created_at FROM deliveries WHERE webhook_id = $1 AND status = 'pending' ORDER BY id LIMIT 1) AS first)
    AS found),
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
