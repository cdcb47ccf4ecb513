-- Insert one attempt for each delivery.
WITH RECURSIVE numbers (number) AS (
  SELECT ?1 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < ?2)
INSERT INTO attempts (
  delivery_id, number, started_at, duration, url, request_headers, status_code, response_headers, response_body,
  error_code, error_message)
SELECT 'dlv_' || printf('%012x7%019x', ?3 + n.number * ?4 / 1000, n.number), 1, ?3 + n.number * ?4 / 1000, 5, ?5, ?6, ?7,
  '[]', x'', '', ''
FROM numbers n
ORDER BY n.number
