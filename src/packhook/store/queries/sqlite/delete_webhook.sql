-- Delete a webhook and its secrets; its deliveries are kept. No row where the stored version is another.
UPDATE webhooks SET deleted_at = ?, version = version + 1, secret = '', previous_secrets = '[]', headers = '{}', client_certificate = '', client_key = ''
WHERE organization_id = ? AND id = ? AND deleted_at IS NULL AND version = coalesce(?, version) RETURNING id
