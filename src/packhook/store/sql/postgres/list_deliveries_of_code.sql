-- A page of an organization's deliveries of one event code: the newest of each webhook that may have some, merged.
SELECT found.* FROM webhooks w CROSS JOIN LATERAL (
  SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
    created_at, updated_at
  FROM deliveries WHERE webhook_id = w.id AND {conditions} ORDER BY id {order} LIMIT :limit) AS found
WHERE w.organization_id = :organization_id AND (w.event_code = :event_code OR w.recoded)
ORDER BY found.id {order} LIMIT :limit
