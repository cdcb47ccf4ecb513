-- Revoke all API keys of an organization.
UPDATE api_keys SET revoked_at = $1 WHERE organization_id = $2 AND revoked_at IS NULL
