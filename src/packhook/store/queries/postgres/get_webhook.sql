-- Select one webhook of an organization.
SELECT {webhook_columns} FROM webhooks WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
