-- Set when a node next looks at the previous secrets of a webhook.
INSERT INTO secret_rotations (webhook_id, organization_id, due_at) VALUES ($1, $2, $3)
ON CONFLICT (webhook_id) DO UPDATE SET due_at = excluded.due_at
