-- One request that was made.
INSERT INTO attempts (
  delivery_id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
  error_code, error_message
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
