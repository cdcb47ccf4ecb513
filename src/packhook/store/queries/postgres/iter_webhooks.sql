-- Select the next webhooks of all organizations, by id.
SELECT {webhook_columns} FROM webhooks WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2
