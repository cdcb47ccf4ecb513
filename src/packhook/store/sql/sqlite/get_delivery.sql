-- One delivery of an organization.
SELECT id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
FROM deliveries WHERE seq = ? AND organization_id = ? AND id = ?
