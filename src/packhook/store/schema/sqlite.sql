-- Generated from the migrations by `make schema`. Do not edit.

CREATE TABLE instance (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
  id                    TEXT PRIMARY KEY,
  name                  TEXT NOT NULL,
  created_at            INTEGER NOT NULL,
  deleted_at            INTEGER,
  subscriptions_version INTEGER NOT NULL DEFAULT 0
, retention INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name            TEXT NOT NULL,
  scopes          TEXT NOT NULL,
  prefix          TEXT NOT NULL,
  key_hash        BLOB NOT NULL UNIQUE,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER,
  last_used_at    INTEGER,
  revoked_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_of_organization ON api_keys (organization_id, id);

CREATE TABLE webhooks (
  id                   TEXT PRIMARY KEY,
  organization_id      TEXT NOT NULL REFERENCES organizations (id),
  event_code           TEXT NOT NULL,
  endpoint             TEXT NOT NULL,
  secret               TEXT NOT NULL,
  enabled              INTEGER NOT NULL,
  created_at           INTEGER NOT NULL,
  updated_at           INTEGER NOT NULL,
  version              INTEGER NOT NULL,
  description          TEXT NOT NULL,
  headers              TEXT NOT NULL,
  rate_limit           REAL NOT NULL,
  timeout              INTEGER NOT NULL,
  retry_schedule       TEXT NOT NULL,
  disabled_reason      TEXT NOT NULL,
  client_certificate   TEXT NOT NULL,
  client_key           TEXT NOT NULL,
  verification_pending INTEGER NOT NULL,
  verified_at          INTEGER,
  allowed_rate         REAL NOT NULL,
  event_code_changed   INTEGER NOT NULL DEFAULT 0,
  deleted_at           INTEGER
, previous_secrets TEXT NOT NULL DEFAULT '[]', rotation_finish TEXT NOT NULL DEFAULT '', paused INTEGER NOT NULL DEFAULT 0, event_codes TEXT NOT NULL DEFAULT '[]', filter TEXT NOT NULL DEFAULT '', payload TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;

CREATE INDEX webhooks_of_organization_with_deleted ON webhooks (organization_id);

CREATE TRIGGER webhooks_mark_event_code_changed AFTER UPDATE OF event_code ON webhooks
  WHEN old.event_code <> new.event_code
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;

CREATE TRIGGER webhooks_created AFTER INSERT ON webhooks
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = new.organization_id;
END;

CREATE TRIGGER webhooks_updated AFTER UPDATE ON webhooks
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = new.organization_id;
END;

CREATE TABLE webhook_health (
  webhook_id    TEXT PRIMARY KEY,
  gone_since    INTEGER,
  failing_since INTEGER NOT NULL,
  failed_at     INTEGER NOT NULL,
  failures      INTEGER NOT NULL,
  warned_at     INTEGER
, cause TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL,
  held_until      INTEGER NOT NULL DEFAULT 0
, expedite_before INTEGER NOT NULL DEFAULT 0, expedite_after INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;

CREATE INDEX lanes_due ON lanes (due_at);

CREATE TABLE events (
  rowid           INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  id              TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  data            BLOB NOT NULL,
  created_at      INTEGER NOT NULL
, subject TEXT NOT NULL DEFAULT '', reference_1 TEXT NOT NULL DEFAULT '', reference_2 TEXT NOT NULL DEFAULT '', reference_3 TEXT NOT NULL DEFAULT '', erased_at INTEGER, trace_context TEXT NOT NULL DEFAULT '') STRICT;

CREATE UNIQUE INDEX events_of_organization ON events (organization_id, id);

CREATE TABLE deliveries (
  rowid           INTEGER PRIMARY KEY,
  id              TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  event_id        TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  status          TEXT NOT NULL,
  urgency         INTEGER NOT NULL,
  attempt_count   INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  claimable_at    INTEGER,
  leased_until    INTEGER,
  lease           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
, planned_at INTEGER) STRICT;

CREATE UNIQUE INDEX deliveries_of_organization ON deliveries (organization_id, id);

CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);

CREATE INDEX deliveries_of_event ON deliveries (event_id, id);

CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at) WHERE claimable_at IS NOT NULL;

CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id) WHERE claimable_at IS NOT NULL;

CREATE INDEX deliveries_leased_directly ON deliveries (leased_until) WHERE leased_until IS NOT NULL;

CREATE INDEX deliveries_exhausted_of_webhook ON deliveries (webhook_id, id) WHERE status = 'exhausted';

CREATE INDEX deliveries_exhausted ON deliveries (organization_id, id) WHERE status = 'exhausted';

CREATE INDEX deliveries_canceled ON deliveries (organization_id, id) WHERE status = 'canceled';

CREATE TABLE attempts (
  delivery_id      TEXT NOT NULL,
  number           INTEGER NOT NULL,
  started_at       INTEGER NOT NULL,
  duration         INTEGER NOT NULL,
  url              TEXT NOT NULL,
  request_headers  TEXT NOT NULL,
  status_code      INTEGER,
  response_headers TEXT NOT NULL,
  response_body    BLOB NOT NULL,
  error_code       TEXT NOT NULL,
  error_message    TEXT NOT NULL,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE interruptions (
  delivery_id TEXT NOT NULL,
  noticed_at  INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, noticed_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  organization_id TEXT NOT NULL,
  key             TEXT NOT NULL,
  fingerprint     BLOB NOT NULL,
  receipts        BLOB NOT NULL,
  created_at      INTEGER NOT NULL, of_change INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

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

CREATE INDEX audit_entries_by_age ON audit_entries (created_at);

CREATE INDEX events_by_subject ON events (organization_id, subject, id) WHERE subject <> '';

CREATE INDEX events_by_reference_1 ON events (organization_id, reference_1, id) WHERE reference_1 <> '';

CREATE INDEX events_by_reference_2 ON events (organization_id, reference_2, id) WHERE reference_2 <> '';

CREATE INDEX events_by_reference_3 ON events (organization_id, reference_3, id) WHERE reference_3 <> '';

CREATE TABLE secret_rotations (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX secret_rotations_due ON secret_rotations (due_at);

CREATE TABLE replays (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  selection       TEXT NOT NULL,
  since           INTEGER NOT NULL,
  until           INTEGER,
  event_codes     TEXT NOT NULL,
  subject         TEXT NOT NULL,
  latest_only     INTEGER NOT NULL,
  status          TEXT NOT NULL,
  matched         INTEGER NOT NULL,
  queued          INTEGER NOT NULL,
  delivered       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  finished_at     INTEGER,
  created_by      TEXT NOT NULL,
  examined        INTEGER NOT NULL DEFAULT -1,
  stalled_steps   INTEGER NOT NULL DEFAULT 0,
  step_at         INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX replays_of_organization ON replays (organization_id, id);

CREATE INDEX replays_of_webhook ON replays (webhook_id, id);

CREATE INDEX replays_unfinished ON replays (organization_id) WHERE finished_at IS NULL;

CREATE INDEX replays_finished ON replays (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX replays_due ON replays (step_at) WHERE step_at IS NOT NULL;

CREATE TABLE replay_chunks (
  replay_id  TEXT NOT NULL,
  number     INTEGER NOT NULL,
  event_ids  TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (replay_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX replay_chunks_by_age ON replay_chunks (created_at) WHERE number = 0;

CREATE TABLE replay_deliveries (
  replay_id   TEXT NOT NULL,
  position    INTEGER NOT NULL,
  delivery_id TEXT NOT NULL,
  PRIMARY KEY (replay_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_canceled_of_webhook ON deliveries (webhook_id, id) WHERE status = 'canceled';

CREATE TABLE statistics (
  span      INTEGER NOT NULL,
  start     INTEGER NOT NULL,
  source    TEXT NOT NULL,
  outcome   TEXT NOT NULL,
  latency   INTEGER NOT NULL,
  attempts  INTEGER NOT NULL,
  exhausted INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  PRIMARY KEY (span, start, source, outcome, latency)
) STRICT, WITHOUT ROWID;

CREATE TABLE orphaned_statistics (
  webhook_id TEXT PRIMARY KEY,
  deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_alerts (
  webhook_id    TEXT PRIMARY KEY,
  failing_since INTEGER NOT NULL,
  warnings      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
  position        INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  event_id        TEXT NOT NULL UNIQUE
, refused_at INTEGER, reason TEXT NOT NULL DEFAULT '', made_through TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX events_by_event_code ON events (organization_id, event_code, id);

CREATE INDEX events_feed ON events (organization_id);

CREATE TABLE feed_starts (
  organization_id TEXT PRIMARY KEY,
  position        INTEGER NOT NULL,
  event_id        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX feed_starts_newest ON feed_starts (position);

CREATE TABLE last_failures (
  webhook_id    TEXT PRIMARY KEY,
  failed_at     INTEGER NOT NULL,
  error_code    TEXT NOT NULL,
  error_message TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event_types (
  code               TEXT PRIMARY KEY,
  description        TEXT NOT NULL,
  schema             TEXT,
  example            TEXT,
  subject_pointer    TEXT NOT NULL,
  reference_pointers TEXT NOT NULL,
  archived_at        INTEGER,
  created_at         INTEGER NOT NULL,
  updated_at         INTEGER NOT NULL,
  version            INTEGER NOT NULL
) STRICT;

CREATE INDEX event_types_by_version ON event_types (version);

CREATE TRIGGER webhooks_mark_event_codes_created AFTER INSERT ON webhooks
  WHEN new.event_codes <> '[]'
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;

CREATE TRIGGER webhooks_mark_event_codes_changed AFTER UPDATE OF event_codes ON webhooks
  WHEN old.event_codes <> new.event_codes
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;

CREATE TABLE filter_errors (
  webhook_id TEXT PRIMARY KEY,
  count      INTEGER NOT NULL,
  since      INTEGER NOT NULL,
  last_at    INTEGER NOT NULL,
  event_id   TEXT NOT NULL,
  message    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER webhooks_forget_filter_errors AFTER UPDATE OF filter ON webhooks
  WHEN old.filter <> new.filter
BEGIN
  DELETE FROM filter_errors WHERE webhook_id = new.id;
END;

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

CREATE INDEX organizations_with_retention ON organizations (id) WHERE retention IS NOT NULL;

CREATE INDEX deliveries_by_id ON deliveries (id);

CREATE INDEX deliveries_exhausted_by_id ON deliveries (id) WHERE status = 'exhausted';

CREATE INDEX deliveries_canceled_by_id ON deliveries (id) WHERE status = 'canceled';

CREATE INDEX outbox_refused ON outbox (event_id) WHERE refused_at IS NOT NULL;

CREATE INDEX outbox_refused_of_organization ON outbox (organization_id, event_id) WHERE refused_at IS NOT NULL;

CREATE INDEX idempotency_keys_of_changes ON idempotency_keys (organization_id) WHERE of_change;

CREATE TABLE operator_sessions (
  session_hash  BLOB PRIMARY KEY,
  id            TEXT NOT NULL,
  operator_mark BLOB NOT NULL,
  created_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX operator_sessions_by_expiry ON operator_sessions (expires_at);

CREATE INDEX outbox_waiting ON outbox (organization_id, position) WHERE refused_at IS NULL;

CREATE INDEX deliveries_pending_of_webhook ON deliveries (webhook_id, id) WHERE claimable_at IS NOT NULL;

CREATE INDEX deliveries_pending_by_id ON deliveries (id) WHERE claimable_at IS NOT NULL;
