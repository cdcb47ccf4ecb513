-- packhook.publish() compares an event with the first one of its idempotency key by what it means, as the API does: white
-- space, the order of members, escapes and 1.0 for 1 do not count.
SET LOCAL search_path = packhook;

-- JSON as jsonb; NULL, which equals nothing, for what jsonb cannot hold, such as \u0000.
CREATE FUNCTION meaning(json_text bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
  RETURN convert_from(json_text, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END
$$;

-- Whether the receipts are those of one event, which is still there and means the same as this one.
CREATE FUNCTION publishes_the_same(organization_id text, receipts json, event_code text, body bytea) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT json_array_length($2) = 1 AND EXISTS (
    SELECT FROM packhook.events e
    WHERE e.organization_id = $1 AND e.id = $2 -> 0 ->> 'id' AND e.event_code = $3
      AND packhook.meaning(e.data) = packhook.meaning($4)
  )
$$;

CREATE OR REPLACE FUNCTION publish(organization_id text, event_code text, data json, idempotency_key text DEFAULT NULL::text)
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
