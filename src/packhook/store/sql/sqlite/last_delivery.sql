-- The number of the newest delivery.
SELECT max(seq) FROM deliveries
