-- Delete deliveries of an event, at most so many.
DELETE FROM deliveries WHERE rowid IN (SELECT rowid FROM deliveries WHERE event_id = ? LIMIT ?)
