-- Write the outcomes of attempts, and the attempts; no row where the lease is no longer the delivery's.
-- Where all were successes ($17), the failures of their webhooks are forgotten in the same statement.
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
      $16::text[])
      AS result (organization_id, id, lease, status, claimable_at, urgency, {attempt_columns})
    CROSS JOIN LATERAL (
      SELECT ctid AS row_id FROM deliveries
      WHERE organization_id = result.organization_id AND id = result.id AND lease = result.lease
        AND status IS NOT DISTINCT FROM 'sending' OFFSET 0) AS leased) AS result
  WHERE d.ctid = result.row_id AND d.lease = result.lease AND d.status IS NOT DISTINCT FROM 'sending'
  RETURNING result.*, d.webhook_id),
new_attempts AS (
  INSERT INTO attempts (delivery_id, {attempt_columns}) SELECT id, {attempt_columns} FROM settled),
cleared AS (
  DELETE FROM webhook_health WHERE $17 AND webhook_id = ANY (ARRAY (SELECT webhook_id FROM settled)))
SELECT id, lease FROM settled
