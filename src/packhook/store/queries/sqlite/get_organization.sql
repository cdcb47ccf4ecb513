-- Select one organization that is not deleted.
SELECT {organization_columns} FROM organizations WHERE id = ? AND deleted_at IS NULL
