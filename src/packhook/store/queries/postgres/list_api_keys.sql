-- Select a page of an organization's API keys, without the revoked ones.
SELECT {api_key_columns} FROM api_keys WHERE {conditions} ORDER BY id {order} LIMIT :limit
