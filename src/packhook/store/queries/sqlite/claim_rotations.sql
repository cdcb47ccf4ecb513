-- Take the rotations that are due at ?1, the longest waiting first: none is due again before ?2.
UPDATE secret_rotations SET due_at = ?2 WHERE webhook_id IN (
  SELECT webhook_id FROM secret_rotations WHERE due_at <= ?1 ORDER BY due_at LIMIT ?3)
RETURNING organization_id, webhook_id
