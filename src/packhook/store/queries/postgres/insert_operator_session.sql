-- Insert a session of the dashboard; only the hash of its cookie is stored.
INSERT INTO operator_sessions (session_hash, {operator_session_columns}) VALUES ($1, {operator_session_values:2})
