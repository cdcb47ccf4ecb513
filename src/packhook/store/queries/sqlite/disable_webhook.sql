-- Disable a webhook automatically, with the reason.
UPDATE webhooks SET enabled = 0, disabled_reason = ?, updated_at = ?, version = version + 1
WHERE id = ? AND enabled = 1 AND deleted_at IS NULL
RETURNING organization_id
