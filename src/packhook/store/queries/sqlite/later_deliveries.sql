-- Select the next deliveries of a lane that are due later, by when they are claimable: their waits are to end.
SELECT * FROM (
  SELECT rowid, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = ?1 AND urgency = 0 AND claimable_at > ?2
  ORDER BY claimable_at LIMIT ?3)
UNION ALL SELECT * FROM (
  SELECT rowid, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = ?1 AND urgency = 1 AND claimable_at > ?2
  ORDER BY claimable_at LIMIT ?3)
UNION ALL SELECT * FROM (
  SELECT rowid, claimable_at, status, updated_at FROM deliveries
  WHERE webhook_id = ?1 AND urgency = 2 AND claimable_at > ?2
  ORDER BY claimable_at LIMIT ?3)
ORDER BY claimable_at LIMIT ?3
