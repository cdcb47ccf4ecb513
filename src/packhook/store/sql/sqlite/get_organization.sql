-- One organization that is there.
SELECT id, name, created_at FROM organizations WHERE id = ? AND deleted_at IS NULL
