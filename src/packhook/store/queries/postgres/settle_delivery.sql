-- Write the outcomes of attempts, and the attempts; no row where the lease is no longer the delivery's.
-- Those that were settled are counted for their webhooks and for the node ($19). Where all were successes ($20), the
-- failures of their webhooks are forgotten in the same statement; nothing is written where the recovery of one of them
-- ($21) is to be reported, which takes a transaction.
-- Differs because it takes a whole batch at once. OFFSET 0 has each delivery looked up by its key, whatever the planner
-- estimates, and IS NOT DISTINCT FROM keeps it from comparing each with all that are being sent (deliveries_leased).
WITH settled AS (
  UPDATE deliveries d SET
    status = result.status, claimable_at = result.claimable_at, urgency = result.urgency, attempt_count = result.number,
    lease = 0, updated_at = result.started_at + result.duration
  FROM (
    SELECT result.*, leased.row_id
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[], $7::integer[],
      $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::integer[], $13::text[], $14::bytea[], $15::text[],
      $16::text[], $17::text[] COLLATE "C", $18::integer[])
      AS result (organization_id, id, lease, status, claimable_at, urgency, {attempt_columns}, outcome, latency)
    CROSS JOIN LATERAL (
      SELECT ctid AS row_id FROM deliveries
      WHERE organization_id = result.organization_id AND id = result.id AND lease = result.lease
        AND status IS NOT DISTINCT FROM 'sending' OFFSET 0) AS leased
    WHERE NOT EXISTS (SELECT FROM webhook_alerts WHERE webhook_id = ANY ($21::text[]))) AS result
  WHERE d.ctid = result.row_id AND d.lease = result.lease AND d.status IS NOT DISTINCT FROM 'sending'
  RETURNING result.*, d.webhook_id),
new_attempts AS (
  INSERT INTO attempts (delivery_id, {attempt_columns}) SELECT id, {attempt_columns} FROM settled),
cleared AS (
  DELETE FROM webhook_health WHERE $20 AND webhook_id = ANY (ARRAY (SELECT webhook_id FROM settled))),
counted AS (
  INSERT INTO statistics AS s (span, start, source, outcome, latency, attempts, exhausted, last_at)
  SELECT 5, bucket, coalesce(webhook_id, $19), outcome, latency, count(*), count(*) FILTER (WHERE status = 'exhausted'),
    max(started_at + duration)
  FROM settled CROSS JOIN LATERAL (
    SELECT started_at + duration - (started_at + duration) % 300000 AS bucket OFFSET 0) AS ended
  GROUP BY GROUPING SETS ((bucket, webhook_id, outcome, latency), (bucket, outcome, latency))
  ORDER BY bucket, 3, outcome, latency
  ON CONFLICT (span, start, source, outcome, latency) DO UPDATE SET
    attempts = s.attempts + excluded.attempts, exhausted = s.exhausted + excluded.exhausted,
    last_at = greatest(s.last_at, excluded.last_at))
SELECT id, lease FROM settled
