-- Delete a session.
DELETE FROM portal_sessions WHERE session_hash = ?1
