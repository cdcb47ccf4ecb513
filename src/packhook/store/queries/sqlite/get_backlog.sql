-- Count the deliveries of a webhook that are not finished, up to a limit; select the oldest, and when the next is due.
-- Of more than the limit the oldest may be another; the organization's first ones that are not finished are read as well.
-- Differs because a delivery that was leased directly has an index of its own.
WITH live AS MATERIALIZED (
  SELECT created_at FROM (
    SELECT created_at FROM deliveries WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL LIMIT :limit)
  UNION ALL SELECT * FROM (
    SELECT created_at FROM deliveries WHERE leased_until IS NOT NULL AND +webhook_id = :webhook_id LIMIT :limit)),
oldest AS MATERIALIZED (
  SELECT min(created_at) AS created_at FROM (
    SELECT webhook_id, created_at FROM deliveries
    WHERE organization_id = :organization_id AND claimable_at IS NOT NULL ORDER BY id LIMIT :limit)
  WHERE webhook_id = :webhook_id AND (SELECT count(*) FROM live) >= :limit)
SELECT (SELECT count(*) FROM live),
  (SELECT min(created_at) FROM (SELECT created_at FROM live UNION ALL SELECT created_at FROM oldest)),
  (SELECT min(claimable_at) FROM (
    SELECT * FROM (SELECT claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL AND urgency = 0 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)
    UNION ALL SELECT * FROM (SELECT claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL AND urgency = 1 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)
    UNION ALL SELECT * FROM (SELECT claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL AND urgency = 2 AND status = 'pending'
      ORDER BY claimable_at LIMIT 1)))
