-- Make a finished delivery due again, with a new schedule; no row where it is not finished.
-- Differs because another node may retry or delete it at the same time.
UPDATE deliveries SET status = 'pending', claimable_at = $1, urgency = 2, attempts_before = attempt_count, updated_at = $1
WHERE organization_id = $2 AND id = $3 AND status NOT IN ('pending', 'sending')
RETURNING {delivery_columns}
