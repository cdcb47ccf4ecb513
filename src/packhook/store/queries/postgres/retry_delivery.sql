-- Make a delivery due now: a finished one with a new schedule, a waiting one with the rest of its own.
-- For that planned_at is its next time, and the attempt before it is counted as one before the schedule.
-- Differs because another node may lease or delete it at the same time: then there is no row.
UPDATE deliveries SET
  planned_at = CASE WHEN status <> 'pending' THEN NULL WHEN claimable_at > $1 THEN claimable_at ELSE planned_at END,
  attempts_before = CASE WHEN status = 'pending' THEN least(attempt_count, attempts_before + (claimable_at > $1)::integer)
    ELSE attempt_count END,
  urgency = CASE WHEN status = 'pending' THEN urgency ELSE 2 END,
  claimable_at = least(claimable_at, $1), status = 'pending', updated_at = $1
WHERE organization_id = $2 AND id = $3 AND status <> 'sending'
RETURNING {delivery_columns}
