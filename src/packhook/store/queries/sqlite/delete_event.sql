-- Delete an event past retention.
DELETE FROM events WHERE rowid = ?
