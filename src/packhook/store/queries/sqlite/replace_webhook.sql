-- Write the next version of a webhook; no row where the stored version is another (?1).
UPDATE webhooks SET ({webhook_columns}) = ({webhook_values:4})
WHERE version = ?1 AND organization_id = ?2 AND id = ?3 AND deleted_at IS NULL
RETURNING id
