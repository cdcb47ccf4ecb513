-- An organization goes; its id stays taken, for its events are still kept.
-- Differs because another node may delete it at the same time.
UPDATE organizations SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL RETURNING id
