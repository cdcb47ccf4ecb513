-- Delete audit entries past their retention, the oldest first.
DELETE FROM audit_entries WHERE id = ANY (ARRAY (
  SELECT id FROM audit_entries WHERE created_at < $1 ORDER BY created_at LIMIT $2))
RETURNING 1
