-- A page of what an organization has under way: what was claimed, and what was handed over, which is little, merged.
-- Differs because what is handed over is in no lane here.
SELECT * FROM (
  SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
    created_at, updated_at
  FROM deliveries WHERE claimable_at IS NOT NULL AND {conditions} ORDER BY id {order} LIMIT :limit)
UNION ALL SELECT * FROM (
  SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
    created_at, updated_at
  FROM deliveries INDEXED BY deliveries_handed
  WHERE handed_until IS NOT NULL AND {conditions} ORDER BY id {order} LIMIT :limit)
ORDER BY id {order} LIMIT :limit
