-- Delete a session of the dashboard, and say whether it was there.
DELETE FROM operator_sessions WHERE session_hash = ?1 RETURNING 1
