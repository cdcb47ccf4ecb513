-- Delete due rotations whose webhook was deleted, or has no previous secrets any more.
DELETE FROM secret_rotations r WHERE r.due_at <= $1 AND NOT EXISTS (
  SELECT 1 FROM webhooks w WHERE w.id = r.webhook_id AND w.deleted_at IS NULL AND w.previous_secrets <> '[]')
