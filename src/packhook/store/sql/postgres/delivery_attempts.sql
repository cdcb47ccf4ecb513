-- The attempts of one delivery.
SELECT number, started_at, duration, url, request_headers, status_code, response_headers, response_body, error_code,
  error_message
FROM attempts WHERE delivery_id = $1 ORDER BY number
