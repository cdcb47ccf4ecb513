-- A page of an organization's keys, without the revoked.
SELECT id, organization_id, name, scopes, prefix, created_at, expires_at, last_used_at
FROM api_keys WHERE {conditions} ORDER BY id {order} LIMIT :limit
