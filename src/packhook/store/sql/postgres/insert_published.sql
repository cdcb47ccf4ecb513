-- All that a batch of publish calls writes, or nothing where others want the events now than the node took for it.
-- Keys that are new, events, their deliveries (leased to this node, or due now), and the calls to their lanes. The rows
-- are the keys that were written (what came with another is left out), or whose wishes have changed (true), and by code.
-- Differs because it is a transaction of its own, in one round trip; of two nodes with the same key the second waits.
WITH changed AS (
  SELECT organization_id, event_code
  FROM unnest($1::text[], $2::text[], $3::text[]) AS taken (organization_id, event_code, wanting)
  WHERE wanting IS DISTINCT FROM (
    SELECT coalesce(string_agg(w.id || ' ' || w.version, ',' ORDER BY w.id), '') FROM organizations o
    LEFT JOIN LATERAL (
      SELECT id, version FROM webhooks
      WHERE organization_id = o.id AND event_code = taken.event_code AND enabled AND deleted_at IS NULL OFFSET 0)
      AS w ON true
    WHERE o.id = taken.organization_id AND o.deleted_at IS NULL GROUP BY o.id)),
new_keys AS (
  INSERT INTO idempotency_keys AS known (organization_id, key, fingerprint, receipts, created_at)
  SELECT * FROM unnest($4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bigint[])
    AS new (organization_id, key, fingerprint, receipts, created_at)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND NOT EXISTS (
      SELECT FROM idempotency_keys k
      WHERE k.organization_id = new.organization_id AND k.key = new.key AND k.created_at >= $9::bigint OFFSET 0)
  ON CONFLICT (organization_id, key) DO UPDATE
  SET fingerprint = excluded.fingerprint, receipts = excluded.receipts, created_at = excluded.created_at
  WHERE known.created_at < $9::bigint
  RETURNING organization_id, key),
new_events AS (
  INSERT INTO events (organization_id, id, event_code, data, created_at)
  SELECT organization_id, id, event_code, data, created_at
  FROM unnest($10::text::text[], $11::text::text[], $12::text::text[], $13::bytea[], $14::text::bigint[], $15::text::text[])
    AS new (organization_id, id, event_code, data, created_at, key)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND (key IS NULL OR (organization_id, key) IN (SELECT organization_id, key FROM new_keys))),
new_deliveries AS (
  INSERT INTO deliveries (
    organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
    urgency, attempt_count, attempts_before)
  SELECT organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, created_at, 0, 0, 0
  FROM unnest($16::text::text[], $17::text::text[], $18::text::text[], $19::text::text[], $20::text::text[],
    $21::text::text[], $22::text::bigint[], $23::text::bigint[], $24::text::bigint[], $25::text::text[])
    AS new (organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, key)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND (key IS NULL OR (organization_id, key) IN (SELECT organization_id, key FROM new_keys))
  RETURNING webhook_id, organization_id, claimable_at),
new_calls AS (
  INSERT INTO lane_calls (webhook_id, organization_id, due_at)
  SELECT webhook_id, min(organization_id), min(claimable_at) FROM new_deliveries GROUP BY webhook_id)
SELECT organization_id, key, false FROM new_keys
UNION ALL SELECT organization_id, event_code, true FROM changed
