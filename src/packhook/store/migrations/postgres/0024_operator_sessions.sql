-- Sessions of the dashboard: the SHA-256 of the cookie alone, and a mark of the operator key that began each.
SET LOCAL search_path = packhook;

CREATE TABLE operator_sessions (
  session_hash  bytea PRIMARY KEY,
  id            text COLLATE "C" NOT NULL,
  operator_mark bytea NOT NULL,
  created_at    bigint NOT NULL,
  expires_at    bigint NOT NULL
);

CREATE INDEX operator_sessions_by_expiry ON operator_sessions (expires_at);
