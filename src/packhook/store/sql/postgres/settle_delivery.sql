-- What became of attempts, and the attempts themselves; no row where the lease was no longer the delivery's.
-- Differs because it takes a whole batch at once.
WITH settled AS (
  UPDATE deliveries d SET
    status = given.status, claimable_at = given.claimable_at, urgency = given.urgency, attempt_count = given.number,
    lease = 0, updated_at = given.started_at + given.duration
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::smallint[], $7::integer[],
    $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::integer[], $13::text[], $14::bytea[], $15::text[],
    $16::text[])
    AS given (organization_id, id, lease, status, claimable_at, urgency, number, started_at, duration, url,
      request_headers, status_code, response_headers, response_body, error_code, error_message)
  WHERE d.organization_id = given.organization_id AND d.id = given.id AND d.lease = given.lease
    AND d.status = 'sending'
  RETURNING given.*),
made AS (
  INSERT INTO attempts (
    delivery_id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
    error_code, error_message)
  SELECT id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
    error_code, error_message FROM settled)
SELECT id, lease FROM settled
