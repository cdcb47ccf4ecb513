-- Delete an event past retention.
DELETE FROM events WHERE rowid = ? RETURNING organization_id, rowid, id
