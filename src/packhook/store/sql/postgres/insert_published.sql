-- Events, their deliveries (leased to this node, or due now), and the calls to their lanes: all of a transaction at once.
WITH new_events AS (
  INSERT INTO events (organization_id, id, event_code, data, created_at)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[])),
new_deliveries AS (
  INSERT INTO deliveries (
    organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, updated_at,
    urgency, attempt_count, attempts_before)
  SELECT organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at, created_at, 0, 0, 0
  FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],
    $14::bigint[])
    AS new (organization_id, id, webhook_id, event_id, event_code, status, claimable_at, lease, created_at))
INSERT INTO lane_calls (webhook_id, organization_id, due_at)
SELECT * FROM unnest($15::text[], $16::text[], $17::bigint[])
