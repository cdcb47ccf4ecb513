-- A page of an organization's failed deliveries of one event code: the newest of each webhook that may have some, merged.
-- Differs because a subquery in FROM knows nothing of what stands before it; what failed is in its index at once.
SELECT d.id, d.event_id, d.webhook_id, d.organization_id, d.event_code, d.status, d.attempt_count, d.attempts_before,
  d.claimable_at, d.created_at, d.updated_at
FROM webhooks w CROSS JOIN deliveries d ON d.seq IN (
  SELECT seq FROM deliveries WHERE webhook_id = w.id AND {conditions} ORDER BY id {order} LIMIT :limit)
WHERE w.organization_id = :organization_id AND (w.event_code = :event_code OR w.recoded)
ORDER BY d.id {order} LIMIT :limit
