-- Cancel a live delivery: the outcome of an attempt under way is not recorded.
UPDATE deliveries SET
  status = 'canceled', claimable_at = NULL, leased_until = NULL, planned_at = NULL, lease = 0, updated_at = ?1
WHERE rowid = ?2
