-- One organization that is there, and stays there until the transaction ends.
SELECT id, name, created_at FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR SHARE
