-- Mark an organization as deleted; its id stays taken, because its events are kept until their retention ends.
-- Differs because another node may delete it at the same time.
UPDATE organizations SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL RETURNING id
