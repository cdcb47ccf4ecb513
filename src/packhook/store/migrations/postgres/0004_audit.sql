-- The audit trail: written with the change it tells of. It outlives what it tells of, so it refers to nothing.

CREATE TABLE packhook.audit_entries (
  id              text COLLATE "C" PRIMARY KEY,
  created_at      bigint NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  action          text COLLATE "C" NOT NULL,
  object_kind     text COLLATE "C" NOT NULL,
  object_id       text COLLATE "C" NOT NULL,
  changes         text NOT NULL,
  reason          text NOT NULL,
  actor           text COLLATE "C" NOT NULL,
  key_prefix      text NOT NULL,
  source          text NOT NULL,
  request_id      text NOT NULL,
  user_agent      text NOT NULL
);

CREATE INDEX audit_entries_of_organization ON packhook.audit_entries (organization_id, id);
CREATE INDEX audit_entries_of_object ON packhook.audit_entries (object_id, id);

-- Retention reads from the oldest on.
CREATE INDEX audit_entries_by_age ON packhook.audit_entries (created_at);
