-- packhook itself disables a webhook, and says why.
UPDATE webhooks SET enabled = 0, disabled_reason = ?, updated_at = ?, version = version + 1
WHERE id = ? AND enabled = 1 AND deleted_at IS NULL
RETURNING organization_id
