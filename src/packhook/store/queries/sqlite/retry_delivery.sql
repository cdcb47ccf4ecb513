-- Make a delivery due now: a finished one with a new schedule, a waiting one with the rest of its own.
-- For that planned_at is its next time, and the attempt before it is counted as one before the schedule.
UPDATE deliveries SET
  planned_at = CASE WHEN status <> 'pending' THEN NULL WHEN claimable_at > ?1 THEN claimable_at ELSE planned_at END,
  attempts_before = CASE WHEN status = 'pending' THEN min(attempt_count, attempts_before + (claimable_at > ?1))
    ELSE attempt_count END,
  urgency = CASE WHEN status = 'pending' THEN urgency ELSE 2 END,
  claimable_at = min(coalesce(claimable_at, ?1), ?1), status = 'pending', updated_at = ?1
WHERE rowid = ?2
