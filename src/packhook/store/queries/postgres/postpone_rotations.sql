-- Set when a node next looks at these webhooks ($1), where they still have previous secrets.
UPDATE secret_rotations SET due_at = $2 WHERE webhook_id = ANY ($1::text[])
