-- Select a session of the dashboard that has not expired.
SELECT {operator_session_columns} FROM operator_sessions WHERE session_hash = ?1 AND expires_at > ?2
