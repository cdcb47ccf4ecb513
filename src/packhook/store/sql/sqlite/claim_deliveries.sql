-- The next due deliveries of one lane: a tenth of each urgency, so that none waits for ever, then by urgency and age.
-- Three short index reads; waiting retries are not walked.
UPDATE deliveries SET status = 'sending', lease = :lease, claimable_at = :lease_until, updated_at = :now
WHERE id IN (
  SELECT id FROM (
    SELECT id, urgency, claimable_at, row_number() OVER (PARTITION BY urgency ORDER BY claimable_at) AS place FROM (
      SELECT * FROM (
        SELECT id, urgency, claimable_at FROM deliveries
        WHERE webhook_id = :webhook_id AND status IN ('pending', 'sending') AND urgency = 0 AND claimable_at <= :now
        ORDER BY claimable_at LIMIT :limit)
      UNION ALL SELECT * FROM (
        SELECT id, urgency, claimable_at FROM deliveries
        WHERE webhook_id = :webhook_id AND status IN ('pending', 'sending') AND urgency = 1 AND claimable_at <= :now
        ORDER BY claimable_at LIMIT :limit)
      UNION ALL SELECT * FROM (
        SELECT id, urgency, claimable_at FROM deliveries
        WHERE webhook_id = :webhook_id AND status IN ('pending', 'sending') AND urgency = 2 AND claimable_at <= :now
        ORDER BY claimable_at LIMIT :limit))
  ) ORDER BY place > :limit / 10, urgency, claimable_at LIMIT :limit)
RETURNING id, event_id, attempt_count, attempts_before, urgency, event_code
