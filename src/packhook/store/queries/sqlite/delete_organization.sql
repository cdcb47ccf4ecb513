-- Mark an organization as deleted; its id stays taken, because its events are kept until their retention ends.
UPDATE organizations SET deleted_at = ? WHERE id = ?
