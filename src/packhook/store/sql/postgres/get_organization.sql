-- One organization that is there.
SELECT id, name, created_at FROM organizations WHERE id = $1 AND deleted_at IS NULL
