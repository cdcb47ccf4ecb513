-- Links to the portal, and the sessions that they become: session_hash is set once a link was opened. api_key_id is ''
-- where the operator key made it.
CREATE TABLE portal_sessions (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  capabilities    TEXT NOT NULL,
  api_key_id      TEXT NOT NULL,
  operator_mark   BLOB NOT NULL,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  opened_at       INTEGER,
  link_hash       BLOB NOT NULL UNIQUE,
  session_hash    BLOB UNIQUE
) STRICT, WITHOUT ROWID;

CREATE INDEX portal_sessions_of_organization ON portal_sessions (organization_id, id);

CREATE INDEX portal_sessions_by_expiry ON portal_sessions (expires_at);
