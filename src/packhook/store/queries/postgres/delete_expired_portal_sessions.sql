-- Delete links and sessions that have expired, the oldest first.
DELETE FROM portal_sessions WHERE id IN (
  SELECT id FROM portal_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
RETURNING 1
