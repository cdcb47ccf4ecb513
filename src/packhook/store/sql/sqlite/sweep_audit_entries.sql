-- Audit entries past their time go, the oldest first.
DELETE FROM audit_entries WHERE id IN (
  SELECT id FROM audit_entries WHERE created_at < ? ORDER BY created_at LIMIT ?)
