-- The first schema. Instants and durations are milliseconds; ids are text that sorts by its bytes, so by time.

CREATE SCHEMA IF NOT EXISTS packhook;
SET LOCAL search_path = packhook;

CREATE TABLE schema_version (
  version integer NOT NULL
);
INSERT INTO schema_version VALUES (0);

CREATE TABLE instance (
  name  text COLLATE "C" PRIMARY KEY,
  value bytea NOT NULL
);

CREATE TABLE organizations (
  id         text COLLATE "C" PRIMARY KEY,
  name       text NOT NULL,
  created_at bigint NOT NULL,
  deleted_at bigint
);

CREATE TABLE api_keys (
  id              text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  name            text NOT NULL,
  scopes          text NOT NULL,
  prefix          text NOT NULL,
  key_hash        bytea NOT NULL UNIQUE,
  created_at      bigint NOT NULL,
  expires_at      bigint,
  last_used_at    bigint,
  revoked_at      bigint
);

CREATE INDEX api_keys_of_organization ON api_keys (organization_id, id);

CREATE TABLE webhooks (
  id              text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  event_code      text COLLATE "C" NOT NULL,
  endpoint        text NOT NULL,
  secret          text NOT NULL,
  enabled         boolean NOT NULL,
  created_at      bigint NOT NULL,
  updated_at      bigint NOT NULL,
  version         bigint NOT NULL,
  description     text NOT NULL,
  headers         text NOT NULL,
  rate_limit      double precision NOT NULL,
  timeout         bigint NOT NULL,
  retry_schedule  text NOT NULL,
  disabled_reason text NOT NULL,
  deleted_at      bigint
);

CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;

-- The fan-out looks here.
CREATE INDEX webhooks_wanting ON webhooks (organization_id, event_code, id, version)
  WHERE enabled AND deleted_at IS NULL;

-- What is known of an endpoint that fails; no row while it answers well.
CREATE TABLE webhook_health (
  webhook_id    text COLLATE "C" PRIMARY KEY,
  gone_since    bigint,
  failing_since bigint NOT NULL,
  failed_at     bigint NOT NULL,
  failures      bigint NOT NULL
);

-- One row for each webhook with live deliveries; with what calls it, due_at is a lower bound of their claimable_at.
CREATE TABLE lanes (
  webhook_id      text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL,
  due_at          bigint NOT NULL,
  held_until      bigint NOT NULL DEFAULT 0
) WITH (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX lanes_due ON lanes (due_at);

-- "This lane has something claimable from due_at on", said by whoever made it so, in the same transaction. Only ever
-- inserted, so nobody waits for anybody; the next claim folds what it sees into lanes, before it looks at them.
CREATE TABLE lane_calls (
  webhook_id      text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  due_at          bigint NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE events (
  organization_id text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  event_code      text COLLATE "C" NOT NULL,
  data            bytea NOT NULL,
  created_at      bigint NOT NULL,
  PRIMARY KEY (organization_id, id)
);

-- Retention reads from the oldest on.
CREATE INDEX events_by_age ON events (created_at, id);

CREATE TABLE deliveries (
  organization_id text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  webhook_id      text COLLATE "C" NOT NULL,
  event_id        text COLLATE "C" NOT NULL,
  event_code      text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  urgency         smallint NOT NULL,
  attempt_count   integer NOT NULL,
  attempts_before integer NOT NULL,
  claimable_at    bigint,
  lease           bigint NOT NULL,
  created_at      bigint NOT NULL,
  updated_at      bigint NOT NULL,
  PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id, id);

-- What a claim reads, lane by lane; finished deliveries are not in it.
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at)
  WHERE status IN ('pending', 'sending');

-- What is under way and what failed is found without a walk over successes.
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id)
  WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_exhausted_of_webhook ON deliveries (webhook_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_exhausted ON deliveries (organization_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled ON deliveries (organization_id, id) WHERE status = 'canceled';

-- What a receiver wrote is bytes, or JSON that escapes what a text cannot hold.
CREATE TABLE attempts (
  delivery_id      text COLLATE "C" NOT NULL,
  number           integer NOT NULL,
  started_at       bigint NOT NULL,
  duration         bigint NOT NULL,
  url              text NOT NULL,
  request_headers  text NOT NULL,
  status_code      integer,
  response_headers text NOT NULL,
  response_body    bytea NOT NULL,
  error_code       text NOT NULL,
  error_message    text NOT NULL,
  PRIMARY KEY (delivery_id, number)
);

CREATE TABLE idempotency_keys (
  organization_id text COLLATE "C" NOT NULL,
  key             text COLLATE "C" NOT NULL,
  fingerprint     bytea NOT NULL,
  receipts        bytea NOT NULL,
  created_at      bigint NOT NULL,
  PRIMARY KEY (organization_id, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
