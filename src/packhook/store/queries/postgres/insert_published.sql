-- Write a batch of publishes, or nothing where the subscriptions of an organization are not the ones that the node used.
-- New idempotency keys, events, their deliveries (leased to this node, or due now), and the wake-ups of their lanes.
-- Returns the keys that were written (what came with another is left out), or the organizations that changed (true).
-- Differs because it is a transaction of its own, in one round trip; of two nodes with the same key the second waits.
WITH changed AS (
  SELECT organization_id FROM unnest($1::text[], $2::bigint[]) AS used (organization_id, version)
  WHERE version IS DISTINCT FROM (
    SELECT o.subscriptions_version FROM organizations o WHERE o.id = used.organization_id AND o.deleted_at IS NULL)),
new_keys AS (
  INSERT INTO idempotency_keys AS known (organization_id, key, fingerprint, receipts, created_at)
  SELECT * FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bigint[])
    AS new (organization_id, key, fingerprint, receipts, created_at)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND NOT EXISTS (
      SELECT FROM idempotency_keys k
      WHERE k.organization_id = new.organization_id AND k.key = new.key AND k.created_at >= $8::bigint OFFSET 0)
  ON CONFLICT (organization_id, key) DO UPDATE
  SET fingerprint = excluded.fingerprint, receipts = excluded.receipts, created_at = excluded.created_at, of_change = false
  WHERE known.created_at < $8::bigint
  RETURNING organization_id, key),
new_events AS (
  INSERT INTO events ({new_event_columns})
  SELECT {new_event_columns}
  FROM unnest($9::text[], $10::text[], $11::text[], $12::bytea[], $13::bigint[], $14::text[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[])
    AS new ({new_event_columns}, key)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND (key IS NULL OR (organization_id, key) IN (SELECT organization_id, key FROM new_keys))),
new_deliveries AS (
  INSERT INTO deliveries (
    organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
    urgency, attempt_count, attempts_before)
  SELECT organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, created_at, 0, 0, 0
  FROM unnest($20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::bigint[], $27::bigint[],
    $28::bigint[], $29::text[])
    AS new (organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, key)
  WHERE NOT EXISTS (SELECT FROM changed)
    AND (key IS NULL OR (organization_id, key) IN (SELECT organization_id, key FROM new_keys))
  RETURNING webhook_id, organization_id, claimable_at),
new_wakeups AS (
  INSERT INTO lane_wakeups (webhook_id, organization_id, due_at)
  SELECT webhook_id, min(organization_id), min(claimable_at) FROM new_deliveries GROUP BY webhook_id)
SELECT organization_id, key, false FROM new_keys
UNION ALL SELECT organization_id, NULL, true FROM changed
