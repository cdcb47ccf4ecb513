-- Keep the waits of deliveries that were planned when the clock was ahead, counted from now on.
-- $2: how far ahead a plan must have been made.
UPDATE deliveries SET claimable_at = greatest($1, claimable_at - (updated_at - $1)), updated_at = $1,
  planned_at = planned_at - (updated_at - $1)
WHERE claimable_at > $1 AND status = 'pending' AND updated_at > $1 + $2
RETURNING webhook_id, organization_id, claimable_at
