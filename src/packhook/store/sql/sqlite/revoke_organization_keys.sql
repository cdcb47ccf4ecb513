-- All keys of an organization stop working.
UPDATE api_keys SET revoked_at = ? WHERE organization_id = ? AND revoked_at IS NULL
