-- The schema. Instants and durations are milliseconds since the Unix epoch; ids are text that sorts by its bytes, so by
-- time.

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
  id                    text COLLATE "C" PRIMARY KEY,
  name                  text NOT NULL,
  created_at            bigint NOT NULL,
  deleted_at            bigint,
  subscriptions_version bigint NOT NULL DEFAULT 0
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

-- secret, header values and client_key are encrypted. event_code_changed: it may have deliveries of other event codes.
CREATE TABLE webhooks (
  id                   text COLLATE "C" PRIMARY KEY,
  organization_id      text COLLATE "C" NOT NULL REFERENCES organizations (id),
  event_code           text COLLATE "C" NOT NULL,
  endpoint             text NOT NULL,
  secret               text NOT NULL,
  enabled              boolean NOT NULL,
  created_at           bigint NOT NULL,
  updated_at           bigint NOT NULL,
  version              bigint NOT NULL,
  description          text NOT NULL,
  headers              text NOT NULL,
  rate_limit           double precision NOT NULL,
  timeout              bigint NOT NULL,
  retry_schedule       text NOT NULL,
  disabled_reason      text NOT NULL,
  client_certificate   text NOT NULL,
  client_key           text NOT NULL,
  verification_pending boolean NOT NULL,
  verified_at          bigint,
  allowed_rate         double precision NOT NULL,
  event_code_changed   boolean NOT NULL DEFAULT false,
  deleted_at           bigint
);

CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;

-- Deliveries of deleted webhooks are listed, too.
CREATE INDEX webhooks_of_organization_with_deleted ON webhooks (organization_id);

CREATE FUNCTION mark_event_code_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.event_code_changed := true;
  RETURN NEW;
END
$$;

CREATE TRIGGER webhooks_mark_event_code_changed BEFORE UPDATE OF event_code ON webhooks FOR EACH ROW
  WHEN (old.event_code <> new.event_code) EXECUTE FUNCTION mark_event_code_changed();

-- The fingerprint by which a publish verifies the subscriptions that a node has cached.
CREATE FUNCTION count_subscriptions_version() RETURNS trigger LANGUAGE plpgsql SET search_path = packhook AS $$
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = NEW.organization_id;
  RETURN NULL;
END
$$;

CREATE TRIGGER webhooks_changed AFTER INSERT OR UPDATE ON webhooks FOR EACH ROW
  EXECUTE FUNCTION count_subscriptions_version();

-- The failures of an endpoint; no row while it succeeds. warned_at: when they were reported.
CREATE TABLE webhook_health (
  webhook_id    text COLLATE "C" PRIMARY KEY,
  gone_since    bigint,
  failing_since bigint NOT NULL,
  failed_at     bigint NOT NULL,
  failures      bigint NOT NULL,
  warned_at     bigint
);

-- One row for each webhook with live deliveries. Together with its wake-ups, due_at is a lower bound of their
-- claimable_at.
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

-- A row says that its webhook has deliveries due from due_at on. The transaction that makes them due inserts it.
-- Writers only insert, so they do not wait for each other's locks; each claim first merges the rows into lanes.
CREATE TABLE lane_wakeups (
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

-- Events that packhook.publish() stored in a caller's transaction, and that a node has to fan out.
CREATE TABLE outbox (
  position        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL,
  event_id        text COLLATE "C" NOT NULL UNIQUE
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);

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

-- A claim reads this, lane by lane; finished deliveries are not in it.
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at)
  WHERE status IN ('pending', 'sending');

-- Live, failed and canceled deliveries are found without reading successes.
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id)
  WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_exhausted_of_webhook ON deliveries (webhook_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_exhausted ON deliveries (organization_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled ON deliveries (organization_id, id) WHERE status = 'canceled';

-- What one node is sending.
CREATE INDEX deliveries_leased ON deliveries (lease) WHERE status = 'sending';

-- What a receiver sent is bytes, or JSON that escapes what a text cannot hold.
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

-- An attempt that may have been made: its node died, froze or stopped.
CREATE TABLE interruptions (
  delivery_id text COLLATE "C" NOT NULL,
  noticed_at  bigint NOT NULL,
  number      integer NOT NULL,
  PRIMARY KEY (delivery_id, noticed_at)
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

-- The audit trail. It outlives its objects, so it references nothing.
CREATE TABLE audit_entries (
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

CREATE INDEX audit_entries_of_organization ON audit_entries (organization_id, id);
CREATE INDEX audit_entries_of_object ON audit_entries (object_id, id);

-- Retention reads from the oldest on.
CREATE INDEX audit_entries_by_age ON audit_entries (created_at);

-- Which leases are whose, so that those of a dead node need not run out first.
CREATE TABLE nodes (
  id          bigint PRIMARY KEY,
  first_lease bigint NOT NULL,
  last_lease  bigint NOT NULL,
  since       bigint NOT NULL
);

-- Return a new id: a prefix and a UUIDv7 (RFC 9562, section 5.7) in hex.
CREATE FUNCTION new_id(prefix text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT prefix
    || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7' || substr(random, 1, 3)
    || to_hex((8 + (get_byte(decode(substr(random, 4, 2), 'hex'), 0) & 3))::int) || substr(random, 6, 15)
  FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random) AS drawn
$$;

-- Publish from a caller's own transaction: an order and its event commit, or roll back, together. Returns the event's id.
-- It stores the event; a node makes the deliveries after the commit, with the same function as for any other event.
CREATE FUNCTION publish(organization_id text, event_code text, data json, idempotency_key text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = packhook, pg_temp AS $$
DECLARE
  now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  body bytea := convert_to(publish.data::text, 'UTF8');
  new_event_id text := new_id('evt_');
  request_fingerprint bytea := sha256(convert_to(publish.event_code, 'UTF8') || '\x00'::bytea || body);
  before record;
BEGIN
  PERFORM 1 FROM organizations o WHERE o.id = publish.organization_id AND o.deleted_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'packhook: no organization %', quote_nullable(publish.organization_id) USING ERRCODE = 'P0002';
  END IF;
  IF publish.event_code IS NULL OR publish.event_code NOT IN ('order.canceled', 'order.created', 'order.shipped') THEN
    RAISE EXCEPTION 'packhook: expected order.canceled, order.created or order.shipped, got %',
      quote_nullable(publish.event_code) USING ERRCODE = '22023';
  END IF;
  IF json_typeof(publish.data) IS DISTINCT FROM 'object' OR json_typeof(publish.data -> 'id') IS DISTINCT FROM 'string'
    OR publish.data ->> 'id' = ''
  THEN
    RAISE EXCEPTION 'packhook: data is a JSON object with the order''s id, a text' USING ERRCODE = '22023';
  END IF;
  IF octet_length(body) > 262144 THEN
    RAISE EXCEPTION 'packhook: data may have 262144 bytes, this has %', octet_length(body) USING ERRCODE = '54000';
  END IF;
  IF publish.idempotency_key IS NOT NULL THEN
    IF publish.idempotency_key !~ '^[!-~]{1,255}$' THEN
      RAISE EXCEPTION 'packhook: an idempotency key has 1 to 255 visible ASCII characters' USING ERRCODE = '22023';
    END IF;
    DELETE FROM idempotency_keys k WHERE k.organization_id = publish.organization_id
      AND k.key = publish.idempotency_key AND k.created_at < now_ms - 86400000;
    INSERT INTO idempotency_keys (organization_id, key, fingerprint, receipts, created_at)
    VALUES (publish.organization_id, publish.idempotency_key, request_fingerprint, convert_to(json_build_array(json_build_object(
      'id', new_event_id, 'event_code', publish.event_code, 'created_at', now_ms, 'deliveries', 0))::text, 'UTF8'), now_ms)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT k.fingerprint, k.receipts INTO before FROM idempotency_keys k
      WHERE k.organization_id = publish.organization_id AND k.key = publish.idempotency_key;
      IF before.fingerprint IS DISTINCT FROM request_fingerprint THEN
        RAISE EXCEPTION 'packhook: this idempotency key came with another event before' USING ERRCODE = '23505';
      END IF;
      RETURN convert_from(before.receipts, 'UTF8')::json -> 0 ->> 'id';
    END IF;
  END IF;
  INSERT INTO events (organization_id, id, event_code, data, created_at)
  VALUES (publish.organization_id, new_event_id, publish.event_code, body, now_ms);
  INSERT INTO outbox (organization_id, event_id) VALUES (publish.organization_id, new_event_id);
  PERFORM pg_notify('packhook', json_build_object('node', 'sql', 'published', true)::text);
  RETURN new_event_id;
END
$$;

REVOKE ALL ON FUNCTION publish(text, text, json, text) FROM PUBLIC;
