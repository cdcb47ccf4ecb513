-- Delete a webhook and its secrets; its deliveries are kept. No row where the stored version is another.
UPDATE webhooks SET deleted_at = $1, version = version + 1, secret = '', previous_secrets = '[]', headers = '{}', client_certificate = '', client_key = ''
WHERE organization_id = $2 AND id = $3 AND deleted_at IS NULL AND version = coalesce($4, version) RETURNING id
