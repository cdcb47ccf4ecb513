-- Select one organization that is not deleted, and lock it until the transaction ends.
SELECT {organization_columns} FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE
