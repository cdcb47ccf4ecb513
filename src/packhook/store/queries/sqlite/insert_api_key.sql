-- Insert an API key; only its hash is stored.
INSERT INTO api_keys (key_hash, {api_key_columns}) VALUES (?1, {api_key_values:2})
