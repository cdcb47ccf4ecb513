-- Select the next deliveries of a lane that are due later, by when they are claimable: their waits are to end.
-- Differs because a delivery that another node is handling is skipped.
SELECT * FROM (
  SELECT organization_id, id, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 0 AND claimable_at > $2
  ORDER BY claimable_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS urgency_0
UNION ALL SELECT * FROM (
  SELECT organization_id, id, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 1 AND claimable_at > $2
  ORDER BY claimable_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS urgency_1
UNION ALL SELECT * FROM (
  SELECT organization_id, id, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 2 AND claimable_at > $2
  ORDER BY claimable_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS urgency_2
ORDER BY claimable_at LIMIT $3
