-- The deliveries of one event.
SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
FROM deliveries WHERE event_id = $1 AND organization_id || '' = $2 ORDER BY id
