-- A page of deliveries of one event, or in one of the states that have an index of their own.
SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
FROM deliveries WHERE {conditions} ORDER BY id {order} LIMIT :limit
