-- The next due deliveries of one lane by urgency and age; three short index reads, waiting retries are not walked.
UPDATE deliveries SET status = 'sending', lease = :lease, claimable_at = :lease_until, updated_at = :now
WHERE id IN (
  SELECT id FROM (
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
      ORDER BY claimable_at LIMIT :limit)
  ) ORDER BY urgency, claimable_at LIMIT :limit)
RETURNING id, event_id, attempt_count, attempts_before, urgency, event_code
