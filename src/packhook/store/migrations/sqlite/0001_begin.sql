-- The first schema. Instants and durations are milliseconds; ids are text that sorts by time.

CREATE TABLE instance (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT, WITHOUT ROWID;

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
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  event_code      TEXT NOT NULL,
  endpoint        TEXT NOT NULL,
  secret          TEXT NOT NULL,
  enabled         INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  version         INTEGER NOT NULL,
  description     TEXT NOT NULL,
  headers         TEXT NOT NULL,
  rate_limit      REAL NOT NULL,
  timeout         INTEGER NOT NULL,
  retry_schedule  TEXT NOT NULL,
  disabled_reason TEXT NOT NULL,
  deleted_at      INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;

-- The fan-out looks here.
CREATE INDEX webhooks_wanting ON webhooks (organization_id, event_code, id, version)
  WHERE enabled = 1 AND deleted_at IS NULL;

-- What is known of an endpoint that fails; no row while it answers well.
CREATE TABLE webhook_health (
  webhook_id    TEXT PRIMARY KEY,
  gone_since    INTEGER,
  failing_since INTEGER NOT NULL,
  failed_at     INTEGER NOT NULL,
  failures      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each webhook with live deliveries; due_at is a lower bound of their claimable_at.
CREATE TABLE lanes (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL,
  held_until      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX lanes_due ON lanes (due_at);

CREATE TABLE events (
  seq             INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  id              TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  data            BLOB NOT NULL,
  created_at      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_of_organization ON events (organization_id, id);

CREATE TABLE deliveries (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  event_id        TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  status          TEXT NOT NULL,
  urgency         INTEGER NOT NULL,
  attempt_count   INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  claimable_at    INTEGER,
  lease           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_of_organization ON deliveries (organization_id, id);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);

-- What a claim reads, lane by lane; finished deliveries are not in it.
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at)
  WHERE status IN ('pending', 'sending');

-- What is under way and what failed is found without a walk over successes.
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id)
  WHERE status IN ('pending', 'sending');
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

CREATE TABLE idempotency_keys (
  organization_id TEXT NOT NULL,
  key             TEXT NOT NULL,
  fingerprint     BLOB NOT NULL,
  receipts        BLOB NOT NULL,
  created_at      INTEGER NOT NULL,
  PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
