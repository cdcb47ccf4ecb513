-- Entries of the audit trail.
-- Differs because it takes many at once.
INSERT INTO audit_entries (
  id, created_at, organization_id, action, object_kind, object_id, changes, reason, actor, key_prefix, source, request_id,
  user_agent
) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
