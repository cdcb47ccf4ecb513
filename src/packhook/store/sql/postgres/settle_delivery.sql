-- What became of attempts, and the attempts themselves; no row where the lease was no longer the delivery's.
-- Where all were successes ($17), what was known of failures of their webhooks is forgotten with it.
-- Differs because it takes a whole batch at once. OFFSET 0 has each looked up by its key, whatever the planner knows of
-- the table, and IS NOT DISTINCT FROM keeps it from comparing each with all that are under way (deliveries_leased).
WITH settled AS (
  UPDATE deliveries d SET
    status = given.status, claimable_at = given.claimable_at, urgency = given.urgency, attempt_count = given.number,
    lease = 0, updated_at = given.started_at + given.duration
  FROM (
    SELECT given.*, mine.place
    FROM unnest($1::text::text[], $2::text::text[], $3::text::bigint[], $4::text::text[], $5::text::bigint[],
      $6::text::smallint[], $7::text::integer[], $8::text::bigint[], $9::text::bigint[], $10::text::text[], $11::text[],
      $12::text::integer[], $13::text[], $14::bytea[], $15::text::text[], $16::text::text[])
      AS given (organization_id, id, lease, status, claimable_at, urgency, number, started_at, duration, url,
        request_headers, status_code, response_headers, response_body, error_code, error_message)
    CROSS JOIN LATERAL (
      SELECT ctid AS place FROM deliveries
      WHERE organization_id = given.organization_id AND id = given.id AND lease = given.lease
        AND status IS NOT DISTINCT FROM 'sending' OFFSET 0) AS mine) AS given
  WHERE d.ctid = given.place AND d.lease = given.lease AND d.status IS NOT DISTINCT FROM 'sending'
  RETURNING given.*, d.webhook_id),
made AS (
  INSERT INTO attempts (
    delivery_id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
    error_code, error_message)
  SELECT id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
    error_code, error_message FROM settled),
forgotten AS (
  DELETE FROM webhook_health WHERE $17 AND webhook_id = ANY (ARRAY (SELECT webhook_id FROM settled)))
SELECT id, lease FROM settled
