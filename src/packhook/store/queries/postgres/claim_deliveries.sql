-- Lease the next due deliveries of each lane: a tenth of each urgency, so that none starves, then by urgency and age.
-- Three short index reads; retries that are due later are not read.
-- Differs because it takes many lanes at once, and skips what another node is claiming or settling. The empty text keeps
-- PostgreSQL from going from an event to all deliveries of its organization, which looks cheap while its statistics are
-- of a smaller table.
WITH picked AS MATERIALIZED (
  SELECT d.* FROM unnest($1::text[], $2::integer[]) AS lane (webhook_id, most)
  CROSS JOIN LATERAL (
    SELECT * FROM (
      SELECT *, row_number() OVER (PARTITION BY urgency ORDER BY claimable_at) AS position FROM (
        SELECT * FROM (
          SELECT organization_id, id, event_id, urgency, claimable_at, status FROM deliveries
          WHERE webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 0 AND claimable_at <= $3
          ORDER BY claimable_at LIMIT lane.most FOR UPDATE SKIP LOCKED) AS first_attempts
        UNION ALL SELECT * FROM (
          SELECT organization_id, id, event_id, urgency, claimable_at, status FROM deliveries
          WHERE webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 1 AND claimable_at <= $3
          ORDER BY claimable_at LIMIT lane.most FOR UPDATE SKIP LOCKED) AS retries
        UNION ALL SELECT * FROM (
          SELECT organization_id, id, event_id, urgency, claimable_at, status FROM deliveries
          WHERE webhook_id = lane.webhook_id AND status IN ('pending', 'sending') AND urgency = 2 AND claimable_at <= $3
          ORDER BY claimable_at LIMIT lane.most FOR UPDATE SKIP LOCKED) AS replays
      ) AS due
    ) AS ranked ORDER BY position > lane.most / 10, urgency, claimable_at LIMIT lane.most) AS d)
UPDATE deliveries d SET status = 'sending', lease = $4, claimable_at = $5, updated_at = $3
FROM picked p JOIN events e ON e.organization_id = p.organization_id || '' AND e.id = p.event_id
WHERE d.organization_id = p.organization_id AND d.id = p.id
RETURNING d.id, d.event_id, d.webhook_id, d.attempt_count, d.attempts_before, d.urgency, d.event_code, e.data,
  e.created_at, d.planned_at, p.status, e.trace_context
