-- Generated from the migrations by `make schema`. Do not edit.

CREATE TABLE api_keys (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  scopes text NOT NULL,
  prefix text NOT NULL,
  key_hash bytea NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  last_used_at bigint,
  revoked_at bigint,
  CONSTRAINT api_keys_pkey PRIMARY KEY (id),
  CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
  CONSTRAINT api_keys_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id)
);

CREATE TABLE attempts (
  delivery_id text COLLATE "C" NOT NULL,
  number integer NOT NULL,
  started_at bigint NOT NULL,
  duration bigint NOT NULL,
  url text NOT NULL,
  request_headers text NOT NULL,
  status_code integer,
  response_headers text NOT NULL,
  response_body bytea NOT NULL,
  error_code text NOT NULL,
  error_message text NOT NULL,
  CONSTRAINT attempts_pkey PRIMARY KEY (delivery_id, number)
) WITH (autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE audit_entries (
  id text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  object_kind text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  changes text NOT NULL,
  reason text NOT NULL,
  actor text COLLATE "C" NOT NULL,
  key_prefix text NOT NULL,
  source text NOT NULL,
  request_id text NOT NULL,
  user_agent text NOT NULL,
  CONSTRAINT audit_entries_pkey PRIMARY KEY (id)
);

CREATE TABLE deliveries (
  organization_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  event_code text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  urgency smallint NOT NULL,
  attempt_count integer NOT NULL,
  attempts_before integer NOT NULL,
  claimable_at bigint,
  lease bigint NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  planned_at bigint,
  CONSTRAINT deliveries_pkey PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);

CREATE TABLE event_types (
  code text COLLATE "C" NOT NULL,
  description text NOT NULL,
  schema text,
  example text,
  subject_pointer text NOT NULL,
  reference_pointers text NOT NULL,
  archived_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  version bigint NOT NULL,
  CONSTRAINT event_types_pkey PRIMARY KEY (code)
);

CREATE TABLE events (
  organization_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  event_code text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  created_at bigint NOT NULL,
  subject text COLLATE "C" NOT NULL DEFAULT ''::text,
  reference_1 text COLLATE "C" NOT NULL DEFAULT ''::text,
  reference_2 text COLLATE "C" NOT NULL DEFAULT ''::text,
  reference_3 text COLLATE "C" NOT NULL DEFAULT ''::text,
  position bigint NOT NULL DEFAULT ((pg_current_xact_id())::text)::bigint,
  erased_at bigint,
  trace_context text NOT NULL DEFAULT ''::text,
  CONSTRAINT events_pkey PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE feed_starts (
  organization_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  CONSTRAINT feed_starts_pkey PRIMARY KEY (organization_id)
);

CREATE TABLE filter_errors (
  webhook_id text COLLATE "C" NOT NULL,
  count bigint NOT NULL,
  since bigint NOT NULL,
  last_at bigint NOT NULL,
  event_id text NOT NULL,
  message text NOT NULL,
  CONSTRAINT filter_errors_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE idempotency_keys (
  organization_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  receipts bytea NOT NULL,
  created_at bigint NOT NULL,
  of_change boolean NOT NULL DEFAULT false,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (organization_id, key)
);

CREATE TABLE instance (
  name text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  CONSTRAINT instance_pkey PRIMARY KEY (name)
);

CREATE TABLE interruptions (
  delivery_id text COLLATE "C" NOT NULL,
  noticed_at bigint NOT NULL,
  number integer NOT NULL,
  CONSTRAINT interruptions_pkey PRIMARY KEY (delivery_id, noticed_at)
);

CREATE TABLE lane_wakeups (
  webhook_id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  due_at bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE lanes (
  webhook_id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  due_at bigint NOT NULL,
  held_until bigint NOT NULL DEFAULT 0,
  expedite_before bigint NOT NULL DEFAULT 0,
  expedite_after bigint NOT NULL DEFAULT 0,
  CONSTRAINT lanes_pkey PRIMARY KEY (webhook_id)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE last_failures (
  webhook_id text COLLATE "C" NOT NULL,
  failed_at bigint NOT NULL,
  error_code text NOT NULL,
  error_message text NOT NULL,
  CONSTRAINT last_failures_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE nodes (
  id bigint NOT NULL,
  first_lease bigint NOT NULL,
  last_lease bigint NOT NULL,
  since bigint NOT NULL,
  status text NOT NULL DEFAULT ''::text,
  CONSTRAINT nodes_pkey PRIMARY KEY (id)
);

CREATE TABLE operator_sessions (
  session_hash bytea NOT NULL,
  id text COLLATE "C" NOT NULL,
  operator_mark bytea NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  CONSTRAINT operator_sessions_pkey PRIMARY KEY (session_hash)
);

CREATE TABLE organizations (
  id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  created_at bigint NOT NULL,
  deleted_at bigint,
  subscriptions_version bigint NOT NULL DEFAULT 0,
  retention bigint,
  CONSTRAINT organizations_pkey PRIMARY KEY (id)
);

CREATE TABLE orphaned_statistics (
  webhook_id text COLLATE "C" NOT NULL,
  deleted_at bigint NOT NULL,
  CONSTRAINT orphaned_statistics_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE outbox (
  position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  organization_id text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  refused_at bigint,
  reason text NOT NULL DEFAULT ''::text,
  CONSTRAINT outbox_pkey PRIMARY KEY ("position"),
  CONSTRAINT outbox_event_id_key UNIQUE (event_id)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE portal_sessions (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  capabilities text NOT NULL,
  api_key_id text COLLATE "C" NOT NULL,
  operator_mark bytea NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  opened_at bigint,
  link_hash bytea NOT NULL,
  session_hash bytea,
  CONSTRAINT portal_sessions_pkey PRIMARY KEY (id),
  CONSTRAINT portal_sessions_link_hash_key UNIQUE (link_hash),
  CONSTRAINT portal_sessions_session_hash_key UNIQUE (session_hash)
);

CREATE TABLE replay_chunks (
  replay_id text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  event_ids text NOT NULL,
  created_at bigint NOT NULL,
  CONSTRAINT replay_chunks_pkey PRIMARY KEY (replay_id, number)
);

CREATE TABLE replay_deliveries (
  replay_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  delivery_id text COLLATE "C" NOT NULL,
  CONSTRAINT replay_deliveries_pkey PRIMARY KEY (replay_id, "position")
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE replays (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  selection text COLLATE "C" NOT NULL,
  since bigint NOT NULL,
  until bigint,
  event_codes text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  latest_only boolean NOT NULL,
  status text COLLATE "C" NOT NULL,
  matched bigint NOT NULL,
  queued bigint NOT NULL,
  delivered bigint NOT NULL,
  failed bigint NOT NULL,
  created_at bigint NOT NULL,
  finished_at bigint,
  created_by text COLLATE "C" NOT NULL,
  examined bigint NOT NULL DEFAULT '-1'::integer,
  stalled_steps bigint NOT NULL DEFAULT 0,
  step_at bigint,
  CONSTRAINT replays_pkey PRIMARY KEY (id)
) WITH (fillfactor=50);

CREATE TABLE schema_version (
  version integer NOT NULL
);

CREATE TABLE secret_rotations (
  webhook_id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  due_at bigint NOT NULL,
  CONSTRAINT secret_rotations_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE statistics (
  span smallint NOT NULL,
  start bigint NOT NULL,
  source text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  latency integer NOT NULL,
  attempts bigint NOT NULL,
  exhausted bigint NOT NULL,
  last_at bigint NOT NULL,
  CONSTRAINT statistics_pkey PRIMARY KEY (span, start, source, outcome, latency)
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE TABLE webhook_alerts (
  webhook_id text COLLATE "C" NOT NULL,
  failing_since bigint NOT NULL,
  warnings integer NOT NULL,
  CONSTRAINT webhook_alerts_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE webhook_health (
  webhook_id text COLLATE "C" NOT NULL,
  gone_since bigint,
  failing_since bigint NOT NULL,
  failed_at bigint NOT NULL,
  failures bigint NOT NULL,
  warned_at bigint,
  cause text NOT NULL DEFAULT ''::text,
  CONSTRAINT webhook_health_pkey PRIMARY KEY (webhook_id)
);

CREATE TABLE webhooks (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  event_code text COLLATE "C" NOT NULL,
  endpoint text NOT NULL,
  secret text NOT NULL,
  enabled boolean NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  version bigint NOT NULL,
  description text NOT NULL,
  headers text NOT NULL,
  rate_limit double precision NOT NULL,
  timeout bigint NOT NULL,
  retry_schedule text NOT NULL,
  disabled_reason text NOT NULL,
  client_certificate text NOT NULL,
  client_key text NOT NULL,
  verification_pending boolean NOT NULL,
  verified_at bigint,
  allowed_rate double precision NOT NULL,
  event_code_changed boolean NOT NULL DEFAULT false,
  deleted_at bigint,
  previous_secrets text NOT NULL DEFAULT '[]'::text,
  rotation_finish text NOT NULL DEFAULT ''::text,
  paused boolean NOT NULL DEFAULT false,
  event_codes text NOT NULL DEFAULT '[]'::text,
  filter text NOT NULL DEFAULT ''::text,
  payload text NOT NULL DEFAULT ''::text,
  CONSTRAINT webhooks_pkey PRIMARY KEY (id),
  CONSTRAINT webhooks_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id)
);

CREATE INDEX api_keys_of_organization ON packhook.api_keys USING btree (organization_id, id);

CREATE INDEX audit_entries_by_age ON packhook.audit_entries USING btree (created_at);

CREATE INDEX audit_entries_of_object ON packhook.audit_entries USING btree (object_id, id);

CREATE INDEX audit_entries_of_organization ON packhook.audit_entries USING btree (organization_id, id);

CREATE INDEX deliveries_by_id ON packhook.deliveries USING btree (((id || ''::text)));

CREATE INDEX deliveries_canceled ON packhook.deliveries USING btree (organization_id, id) WHERE (status = 'canceled'::text);

CREATE INDEX deliveries_canceled_by_id ON packhook.deliveries USING btree (((id || ''::text))) WHERE (status = 'canceled'::text);

CREATE INDEX deliveries_canceled_of_webhook ON packhook.deliveries USING btree (webhook_id, id) WHERE (status = 'canceled'::text);

CREATE INDEX deliveries_exhausted ON packhook.deliveries USING btree (organization_id, id) WHERE (status = 'exhausted'::text);

CREATE INDEX deliveries_exhausted_by_id ON packhook.deliveries USING btree (((id || ''::text))) WHERE (status = 'exhausted'::text);

CREATE INDEX deliveries_exhausted_of_webhook ON packhook.deliveries USING btree (webhook_id, id) WHERE (status = 'exhausted'::text);

CREATE INDEX deliveries_leased ON packhook.deliveries USING btree (lease) WHERE (status = 'sending'::text);

CREATE INDEX deliveries_live ON packhook.deliveries USING btree (webhook_id, urgency, claimable_at) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text]));

CREATE INDEX deliveries_live_of_organization ON packhook.deliveries USING btree (organization_id, id) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text]));

CREATE INDEX deliveries_of_event ON packhook.deliveries USING btree (event_id, id);

CREATE INDEX deliveries_of_webhook ON packhook.deliveries USING btree (webhook_id, id);

CREATE INDEX deliveries_pending_by_id ON packhook.deliveries USING btree (((''::text || id))) WHERE (status = 'pending'::text);

CREATE INDEX deliveries_pending_of_webhook ON packhook.deliveries USING btree (webhook_id, id) WHERE (status = 'pending'::text);

CREATE INDEX event_types_by_version ON packhook.event_types USING btree (version);

CREATE INDEX events_by_age ON packhook.events USING btree (created_at, id);

CREATE INDEX events_by_event_code ON packhook.events USING btree (organization_id, event_code, id);

CREATE INDEX events_by_reference_1 ON packhook.events USING btree (organization_id, reference_1, id) WHERE (reference_1 <> ''::text);

CREATE INDEX events_by_reference_2 ON packhook.events USING btree (organization_id, reference_2, id) WHERE (reference_2 <> ''::text);

CREATE INDEX events_by_reference_3 ON packhook.events USING btree (organization_id, reference_3, id) WHERE (reference_3 <> ''::text);

CREATE INDEX events_by_subject ON packhook.events USING btree (organization_id, subject, id) WHERE (subject <> ''::text);

CREATE INDEX events_feed ON packhook.events USING btree (organization_id, "position", id);

CREATE INDEX idempotency_keys_by_age ON packhook.idempotency_keys USING btree (created_at);

CREATE INDEX idempotency_keys_of_changes ON packhook.idempotency_keys USING btree (organization_id) WHERE of_change;

CREATE INDEX lanes_due ON packhook.lanes USING btree (due_at);

CREATE INDEX operator_sessions_by_expiry ON packhook.operator_sessions USING btree (expires_at);

CREATE INDEX organizations_with_retention ON packhook.organizations USING btree (id) WHERE (retention IS NOT NULL);

CREATE INDEX outbox_refused ON packhook.outbox USING btree (event_id) WHERE (refused_at IS NOT NULL);

CREATE INDEX outbox_refused_of_organization ON packhook.outbox USING btree (organization_id, event_id) WHERE (refused_at IS NOT NULL);

CREATE INDEX outbox_waiting ON packhook.outbox USING btree (organization_id, "position") WHERE (refused_at IS NULL);

CREATE INDEX portal_sessions_by_expiry ON packhook.portal_sessions USING btree (expires_at);

CREATE INDEX portal_sessions_of_organization ON packhook.portal_sessions USING btree (organization_id, id);

CREATE INDEX replay_chunks_by_age ON packhook.replay_chunks USING btree (created_at) WHERE (number = 0);

CREATE INDEX replays_due ON packhook.replays USING btree (step_at) WHERE (step_at IS NOT NULL);

CREATE INDEX replays_finished ON packhook.replays USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX replays_of_organization ON packhook.replays USING btree (organization_id, id);

CREATE INDEX replays_of_webhook ON packhook.replays USING btree (webhook_id, id);

CREATE INDEX replays_unfinished ON packhook.replays USING btree (organization_id) WHERE (finished_at IS NULL);

CREATE INDEX secret_rotations_due ON packhook.secret_rotations USING btree (due_at);

CREATE INDEX webhooks_of_organization ON packhook.webhooks USING btree (organization_id, id) WHERE (deleted_at IS NULL);

CREATE INDEX webhooks_of_organization_with_deleted ON packhook.webhooks USING btree (organization_id);

CREATE OR REPLACE FUNCTION packhook.count_subscriptions_version()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'packhook'
AS $function$
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = NEW.organization_id;
  RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION packhook.forget_filter_errors()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  DELETE FROM packhook.filter_errors WHERE webhook_id = NEW.id;
  RETURN NULL;
END $function$;

CREATE OR REPLACE FUNCTION packhook.mark_event_code_changed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  NEW.event_code_changed := true;
  RETURN NEW;
END
$function$;

CREATE OR REPLACE FUNCTION packhook.meaning(json_text bytea)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
BEGIN
  RETURN convert_from(json_text, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION packhook.new_id(prefix text)
 RETURNS text
 LANGUAGE sql
AS $function$
  SELECT prefix
    || lpad(to_hex(micros / 1000), 12, '0')
    || '7' || lpad(to_hex((micros % 1000) * 4), 3, '0')
    || to_hex((8 + (get_byte(decode(substr(random, 4, 2), 'hex'), 0) & 3))::int) || substr(random, 6, 15)
  FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) AS drawn
$function$;

CREATE OR REPLACE FUNCTION packhook.publish(organization_id text, event_code text, data json, idempotency_key text DEFAULT NULL::text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'packhook', 'pg_temp'
AS $function$
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
  IF publish.event_code IN ('order.canceled', 'order.created', 'order.shipped') THEN
    IF json_typeof(publish.data) IS DISTINCT FROM 'object' OR json_typeof(publish.data -> 'id') IS DISTINCT FROM 'string'
      OR publish.data ->> 'id' = ''
    THEN
      RAISE EXCEPTION 'packhook: data is a JSON object with the order''s id, a text' USING ERRCODE = '22023';
    END IF;
  ELSE
    PERFORM 1 FROM event_types t WHERE t.code = publish.event_code AND t.archived_at IS NULL;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'packhook: expected order.canceled, order.created or order.shipped, or another event type, got %',
        quote_nullable(publish.event_code) USING ERRCODE = '22023';
    END IF;
    IF json_typeof(publish.data) IS DISTINCT FROM 'object' THEN
      RAISE EXCEPTION 'packhook: data is a JSON object' USING ERRCODE = '22023';
    END IF;
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
      SELECT k.fingerprint, k.receipts, k.of_change INTO before FROM idempotency_keys k
      WHERE k.organization_id = publish.organization_id AND k.key = publish.idempotency_key;
      IF before.fingerprint IS DISTINCT FROM request_fingerprint AND (before.of_change OR NOT publishes_the_same(
        publish.organization_id, convert_from(before.receipts, 'UTF8')::json, publish.event_code, body
      )) THEN
        RAISE EXCEPTION 'packhook: this idempotency key came with another event before' USING ERRCODE = '23505';
      END IF;
      RETURN convert_from(before.receipts, 'UTF8')::json -> 0 ->> 'id';
    END IF;
  END IF;
  INSERT INTO events (organization_id, id, event_code, data, created_at, trace_context)
  VALUES (publish.organization_id, new_event_id, publish.event_code, body, now_ms, trace_context());
  INSERT INTO outbox (organization_id, event_id) VALUES (publish.organization_id, new_event_id);
  PERFORM pg_notify('packhook', json_build_object('node', 'sql', 'published', true)::text);
  RETURN new_event_id;
END
$function$;

CREATE OR REPLACE FUNCTION packhook.publishes_the_same(organization_id text, receipts json, event_code text, body bytea)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  SELECT json_array_length($2) = 1 AND EXISTS (
    SELECT FROM packhook.events e
    WHERE e.organization_id = $1 AND e.id = $2 -> 0 ->> 'id' AND e.event_code = $3
      AND packhook.meaning(e.data) = packhook.meaning($4)
  )
$function$;

CREATE OR REPLACE FUNCTION packhook.shift_feed(by bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'packhook'
AS $function$
BEGIN
  EXECUTE format('ALTER TABLE events ALTER COLUMN position SET DEFAULT (pg_current_xact_id()::text::bigint + %s)', by);
  INSERT INTO instance (name, value) VALUES ('feed_shift', convert_to(by::text, 'UTF8'))
  ON CONFLICT (name) DO UPDATE SET value = excluded.value;
END
$function$;

CREATE OR REPLACE FUNCTION packhook.trace_context()
 RETURNS text
 LANGUAGE plpgsql
 STABLE
AS $function$
DECLARE
  parent text := coalesce(current_setting('packhook.traceparent', true), '');
  state text := coalesce(current_setting('packhook.tracestate', true), '');
BEGIN
  IF parent !~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
    RETURN '';
  END IF;
  IF state ~ '^[a-z0-9][!-<>-~]*=[!-+ --<>-~]+(,[a-z0-9][!-<>-~]*=[!-+ --<>-~]+)*$' AND length(state) <= 512 THEN
    RETURN parent || chr(10) || state;
  END IF;
  RETURN parent;
END
$function$;

CREATE TRIGGER webhooks_changed AFTER INSERT OR UPDATE ON packhook.webhooks FOR EACH ROW EXECUTE FUNCTION count_subscriptions_version();

CREATE TRIGGER webhooks_forget_filter_errors AFTER UPDATE OF filter ON packhook.webhooks FOR EACH ROW WHEN ((old.filter <> new.filter)) EXECUTE FUNCTION forget_filter_errors();

CREATE TRIGGER webhooks_mark_event_code_changed BEFORE UPDATE OF event_code ON packhook.webhooks FOR EACH ROW WHEN ((old.event_code <> new.event_code)) EXECUTE FUNCTION mark_event_code_changed();

CREATE TRIGGER webhooks_mark_event_codes_changed BEFORE UPDATE OF event_codes ON packhook.webhooks FOR EACH ROW WHEN ((old.event_codes <> new.event_codes)) EXECUTE FUNCTION mark_event_code_changed();

CREATE TRIGGER webhooks_mark_event_codes_created BEFORE INSERT ON packhook.webhooks FOR EACH ROW WHEN ((new.event_codes <> '[]'::text)) EXECUTE FUNCTION mark_event_code_changed();
