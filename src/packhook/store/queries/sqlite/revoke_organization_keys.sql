-- Revoke all API keys of an organization.
UPDATE api_keys SET revoked_at = ? WHERE organization_id = ? AND revoked_at IS NULL
