-- One entry of the audit trail.
INSERT INTO audit_entries (
  id, created_at, organization_id, action, object_kind, object_id, changes, reason, actor, key_prefix, source, request_id,
  user_agent
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
