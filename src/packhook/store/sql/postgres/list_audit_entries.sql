-- A page of the audit trail.
SELECT id, created_at, organization_id, action, object_id, changes, reason, actor, key_prefix, source, request_id, user_agent
FROM audit_entries WHERE {conditions} ORDER BY id {order} LIMIT :limit
