-- Insert one attempt for each delivery.
-- Differs because PostgreSQL has generate_series.
INSERT INTO attempts (
  delivery_id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
  error_code, error_message)
SELECT 'dlv_' || lpad(to_hex($3::bigint + n * $4::bigint / 1000), 12, '0') || '7' || lpad(to_hex(n), 19, '0'), 1,
  $3::bigint + n * $4::bigint / 1000, 5, $5, $6, $7::integer, '[]', ''::bytea, '', ''
FROM generate_series($1::bigint, $2::bigint - 1) AS n
ORDER BY n
