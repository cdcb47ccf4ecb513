-- Delete the sessions of the dashboard that end first, but for the last so many.
DELETE FROM operator_sessions WHERE session_hash IN (
  SELECT session_hash FROM operator_sessions ORDER BY expires_at DESC LIMIT 1000 OFFSET ?1)
