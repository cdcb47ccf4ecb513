-- Make a finished delivery due again, with a new schedule.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, urgency = 2, attempts_before = attempt_count, updated_at = ?1
WHERE rowid = ?2
