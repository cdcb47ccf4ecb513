-- Select live deliveries of an event, at most so many.
SELECT rowid, id, status, attempt_count FROM deliveries
WHERE event_id = ?1 AND status IN ('pending', 'sending') LIMIT ?2
