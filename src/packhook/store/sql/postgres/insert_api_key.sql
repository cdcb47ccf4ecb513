-- Create a key; only its hash is here.
INSERT INTO api_keys (id, organization_id, name, scopes, prefix, created_at, expires_at, last_used_at, key_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
