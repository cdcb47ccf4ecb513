-- End the wait of a delivery: it is due now.
UPDATE deliveries SET claimable_at = ?1, planned_at = NULL, updated_at = ?1 WHERE rowid = ?2
