-- The key with this hash, unless it was revoked.
SELECT id, organization_id, name, scopes, prefix, created_at, expires_at, last_used_at, key_hash
FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL
