-- Publishing from a caller's own transaction: an order and its event commit, or roll back, together.

SET LOCAL search_path = packhook;

-- An id as packhook makes them: a prefix and a UUIDv7 (RFC 9562, 5.7) in hex.
CREATE FUNCTION new_id(prefix text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT prefix
    || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
    || '7' || substr(random, 1, 3)
    || to_hex((8 + (get_byte(decode(substr(random, 4, 2), 'hex'), 0) & 3))::int) || substr(random, 6, 15)
  FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random) AS drawn
$$;

-- The event's id. Its deliveries are due once the caller's transaction is committed.
CREATE FUNCTION publish(organization_id text, event_code text, data json, idempotency_key text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = packhook, pg_temp AS $$
DECLARE
  now_ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  body bytea := convert_to(publish.data::text, 'UTF8');
  made text := new_id('evt_');
  print bytea := sha256(convert_to(publish.event_code, 'UTF8') || '\x00'::bytea || body);
  wanted integer;
  before record;
BEGIN
  PERFORM 1 FROM organizations o WHERE o.id = publish.organization_id AND o.deleted_at IS NULL FOR SHARE;
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
  SELECT count(*) INTO wanted FROM webhooks w
  WHERE w.organization_id = publish.organization_id AND w.event_code = publish.event_code
    AND w.enabled AND w.deleted_at IS NULL;
  IF publish.idempotency_key IS NOT NULL THEN
    IF publish.idempotency_key !~ '^[!-~]{1,255}$' THEN
      RAISE EXCEPTION 'packhook: an idempotency key has 1 to 255 visible ASCII characters' USING ERRCODE = '22023';
    END IF;
    DELETE FROM idempotency_keys k WHERE k.organization_id = publish.organization_id
      AND k.key = publish.idempotency_key AND k.created_at < now_ms - 86400000;
    INSERT INTO idempotency_keys (organization_id, key, fingerprint, receipts, created_at)
    VALUES (publish.organization_id, publish.idempotency_key, print, convert_to(json_build_array(json_build_object(
      'id', made, 'event_code', publish.event_code, 'created_at', now_ms, 'deliveries', wanted))::text, 'UTF8'), now_ms)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT k.fingerprint, k.receipts INTO before FROM idempotency_keys k
      WHERE k.organization_id = publish.organization_id AND k.key = publish.idempotency_key;
      IF before.fingerprint IS DISTINCT FROM print THEN
        RAISE EXCEPTION 'packhook: this idempotency key came with another event before' USING ERRCODE = '23505';
      END IF;
      RETURN convert_from(before.receipts, 'UTF8')::json -> 0 ->> 'id';
    END IF;
  END IF;
  INSERT INTO events (organization_id, id, event_code, data, created_at)
  VALUES (publish.organization_id, made, publish.event_code, body, now_ms);
  INSERT INTO deliveries (organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at,
    updated_at, urgency, attempt_count, attempts_before)
  SELECT publish.organization_id, new_id('dlv_'), w.id, made, publish.event_code, 'pending', now_ms, 0, now_ms,
    now_ms, 0, 0, 0
  FROM webhooks w
  WHERE w.organization_id = publish.organization_id AND w.event_code = publish.event_code
    AND w.enabled AND w.deleted_at IS NULL;
  INSERT INTO lane_calls (webhook_id, organization_id, due_at)
  SELECT w.id, publish.organization_id, now_ms FROM webhooks w
  WHERE w.organization_id = publish.organization_id AND w.event_code = publish.event_code
    AND w.enabled AND w.deleted_at IS NULL;
  PERFORM pg_notify('packhook', json_build_object('node', 'sql', 'due_at', now_ms)::text);
  RETURN made;
END
$$;

REVOKE ALL ON FUNCTION publish(text, text, json, text) FROM PUBLIC;
