-- Delete audit entries past their retention, the oldest first.
DELETE FROM audit_entries WHERE id IN (
  SELECT id FROM audit_entries WHERE created_at < ? ORDER BY created_at LIMIT ?)
