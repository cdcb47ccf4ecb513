-- Take the rotations that are due at $1, the longest waiting first: none is due again before $2.
-- Differs because several nodes do it at the same time.
UPDATE secret_rotations SET due_at = $2 WHERE webhook_id = ANY (ARRAY (
  SELECT webhook_id FROM secret_rotations WHERE due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING organization_id, webhook_id
