-- Make finished deliveries due again, as replays with a new schedule; those that are not finished stay as they are.
UPDATE deliveries SET
  status = 'pending', claimable_at = $1, planned_at = NULL, urgency = 2, attempts_before = attempt_count, updated_at = $1
WHERE organization_id = $2 AND id = ANY ($3::text[]) AND status NOT IN ('pending', 'sending')
