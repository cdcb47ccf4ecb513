-- Count the replayed deliveries of a webhook that are due or in flight, up to a limit.
SELECT count(*) FROM (
  SELECT 1 FROM deliveries
  WHERE webhook_id = $1 AND status IN ('pending', 'sending') AND urgency = 2 AND claimable_at <= $2 LIMIT $3) AS waiting
