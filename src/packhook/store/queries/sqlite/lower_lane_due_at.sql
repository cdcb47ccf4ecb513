-- Record that a webhook has deliveries due from this instant on.
INSERT INTO lanes (webhook_id, organization_id, due_at) VALUES (?, ?, ?)
ON CONFLICT (webhook_id) DO UPDATE SET due_at = excluded.due_at WHERE due_at > excluded.due_at
