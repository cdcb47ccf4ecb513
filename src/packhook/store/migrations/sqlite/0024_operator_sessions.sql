-- Sessions of the dashboard: the SHA-256 of the cookie alone, and a mark of the operator key that began each.
CREATE TABLE operator_sessions (
  session_hash  BLOB PRIMARY KEY,
  id            TEXT NOT NULL,
  operator_mark BLOB NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX operator_sessions_by_expiry ON operator_sessions (expires_at);
