-- A finished delivery is due again, its schedule begun anew; no row where it is not finished.
-- Differs because another node may replay or sweep it at the same time.
UPDATE deliveries SET status = 'pending', claimable_at = $1, urgency = 2, attempts_before = attempt_count, updated_at = $1
WHERE organization_id = $2 AND id = $3 AND status NOT IN ('pending', 'sending')
RETURNING id, event_id, webhook_id, organization_id, event_code, status, attempt_count, attempts_before, claimable_at,
  created_at, updated_at
