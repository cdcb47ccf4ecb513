-- Delete sessions of the dashboard that have expired, the oldest first.
DELETE FROM operator_sessions WHERE session_hash IN (
  SELECT session_hash FROM operator_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
RETURNING 1
