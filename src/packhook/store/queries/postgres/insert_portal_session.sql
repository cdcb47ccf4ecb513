-- Insert a link to the portal; only the hash of its token is stored.
INSERT INTO portal_sessions (link_hash, {portal_session_columns}) VALUES ($1, {portal_session_values:2})
