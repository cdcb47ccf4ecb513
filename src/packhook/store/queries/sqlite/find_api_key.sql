-- Select the API key with this hash, unless it was revoked.
SELECT {api_key_columns}, key_hash FROM api_keys WHERE key_hash = ? AND revoked_at IS NULL
