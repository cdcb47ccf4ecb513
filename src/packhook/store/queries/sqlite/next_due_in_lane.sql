-- Select when the earliest live delivery of a lane is claimable.
SELECT min(at) FROM (
  SELECT min(claimable_at) AS at FROM deliveries
  WHERE webhook_id = ?1 AND claimable_at IS NOT NULL AND urgency = 0
  UNION ALL SELECT min(claimable_at) FROM deliveries
  WHERE webhook_id = ?1 AND claimable_at IS NOT NULL AND urgency = 1
  UNION ALL SELECT min(claimable_at) FROM deliveries
  WHERE webhook_id = ?1 AND claimable_at IS NOT NULL AND urgency = 2)
