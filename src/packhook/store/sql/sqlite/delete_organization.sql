-- An organization goes; its id stays taken, for its events are still kept.
UPDATE organizations SET deleted_at = ? WHERE id = ?
