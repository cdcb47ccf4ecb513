-- Count the replayed deliveries of a webhook that are due or in flight, up to a limit.
SELECT count(*) FROM (
  SELECT 1 FROM deliveries WHERE webhook_id = ? AND urgency = 2 AND claimable_at <= ? LIMIT ?)
