-- Select the next due deliveries of one lane: a tenth of each urgency, so that none starves, then by urgency and age.
-- Three short index reads; retries that are due later are not read.
-- Differs because they are leased one by one: an UPDATE cannot return the status that a row had before.
SELECT d.id, d.event_id, d.webhook_id, d.attempt_count, d.attempts_before, d.urgency, d.event_code, e.data, e.created_at,
  d.planned_at, d.status, e.trace_context, d.rowid
FROM (
  SELECT delivery_rowid, urgency, claimable_at,
    row_number() OVER (PARTITION BY urgency ORDER BY claimable_at) AS position FROM (
    SELECT * FROM (
      SELECT rowid AS delivery_rowid, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 0 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit)
    UNION ALL SELECT * FROM (
      SELECT rowid, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 1 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit)
    UNION ALL SELECT * FROM (
      SELECT rowid, urgency, claimable_at FROM deliveries
      WHERE webhook_id = :webhook_id AND urgency = 2 AND claimable_at <= :now
      ORDER BY claimable_at LIMIT :limit))
  ORDER BY position > :limit / 10, urgency, claimable_at LIMIT :limit) AS picked
CROSS JOIN deliveries d ON d.rowid = picked.delivery_rowid
CROSS JOIN events e ON e.organization_id = d.organization_id AND e.id = d.event_id
ORDER BY d.urgency, d.id
