-- Set when a node next looks at these webhooks (?1, as JSON), where they still have previous secrets.
UPDATE secret_rotations SET due_at = ?2 WHERE webhook_id IN (SELECT value FROM json_each(?1))
