-- Select the rowid of the newest delivery.
SELECT coalesce(max(rowid), 0) FROM deliveries
