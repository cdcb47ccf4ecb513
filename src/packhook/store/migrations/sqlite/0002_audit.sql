-- The audit trail: written with the change it tells of. It outlives what it tells of, so it refers to nothing.

CREATE TABLE audit_entries (
  id              TEXT PRIMARY KEY,
  created_at      INTEGER NOT NULL,
  organization_id TEXT NOT NULL,
  action          TEXT NOT NULL,
  object_kind     TEXT NOT NULL,
  object_id       TEXT NOT NULL,
  changes         TEXT NOT NULL,
  reason          TEXT NOT NULL,
  actor           TEXT NOT NULL,
  key_prefix      TEXT NOT NULL,
  source          TEXT NOT NULL,
  request_id      TEXT NOT NULL,
  user_agent      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_entries_of_organization ON audit_entries (organization_id, id);
CREATE INDEX audit_entries_of_object ON audit_entries (object_id, id);

-- Retention reads from the oldest on.
CREATE INDEX audit_entries_by_age ON audit_entries (created_at);
