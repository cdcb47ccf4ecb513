-- Count the deliveries of a webhook that are not finished, up to a limit; select the oldest, and when the next is due.
-- Ids sort by time: the first is the oldest. The count reads the index, and no delivery.
-- Differs because a delivery that was leased directly has an index of its own.
WITH direct AS MATERIALIZED (
  SELECT created_at FROM deliveries WHERE leased_until IS NOT NULL AND +webhook_id = :webhook_id LIMIT :limit)
SELECT (SELECT count(*) FROM (
    SELECT id FROM deliveries WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL ORDER BY id LIMIT :limit))
    + (SELECT count(*) FROM direct),
  (SELECT min(created_at) FROM (SELECT created_at FROM direct UNION ALL SELECT * FROM (
    SELECT created_at FROM deliveries WHERE webhook_id = :webhook_id AND claimable_at IS NOT NULL ORDER BY id LIMIT 1))),
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
