-- Return the row ids of the newest event and delivery.
SELECT (SELECT max(seq) FROM events), (SELECT max(seq) FROM deliveries)
