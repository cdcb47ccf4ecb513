-- A finished delivery is due again, its schedule begun anew.
UPDATE deliveries SET status = 'pending', claimable_at = ?1, urgency = 2, attempts_before = attempt_count, updated_at = ?1
WHERE seq = ?2
