-- Delete all webhooks of an organization.
UPDATE webhooks SET deleted_at = ?, version = version + 1, secret = '', previous_secrets = '[]', headers = '{}', client_certificate = '', client_key = ''
WHERE organization_id = ? AND deleted_at IS NULL RETURNING id
