-- The next due deliveries of one lane: a tenth of each urgency, so that none waits for ever, then by urgency and age.
-- Three short index reads; waiting retries are not walked.
-- Differs because they are leased one by one: an UPDATE does not tell here whether somebody had it in hand before.
SELECT d.id, d.event_id, d.attempt_count, d.attempts_before, d.urgency, d.event_code, e.data, e.created_at, d.status, d.seq
FROM (
  SELECT seq, urgency, claimable_at, row_number() OVER (PARTITION BY urgency ORDER BY claimable_at) AS place FROM (
    SELECT * FROM (
      SELECT seq, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 0 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit)
    UNION ALL SELECT * FROM (
      SELECT seq, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 1 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit)
    UNION ALL SELECT * FROM (
      SELECT seq, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 2 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit))
  ORDER BY place > :limit / 10, urgency, claimable_at LIMIT :limit) AS picked
CROSS JOIN deliveries d ON d.seq = picked.seq
CROSS JOIN events e ON e.seq = coalesce(d.event_seq, (
  SELECT seq FROM filed_events WHERE organization_id = d.organization_id AND id = d.event_id))
ORDER BY d.urgency, d.id
