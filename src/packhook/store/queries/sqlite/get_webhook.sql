-- Select one webhook of an organization.
SELECT {webhook_columns} FROM webhooks WHERE organization_id = ? AND id = ? AND deleted_at IS NULL
