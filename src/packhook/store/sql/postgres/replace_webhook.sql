-- The next version of a webhook; no row where somebody else was faster.
UPDATE webhooks SET
  event_code = $1, endpoint = $2, secret = $3, enabled = $4, updated_at = $5, version = $6, description = $7,
  headers = $8, rate_limit = $9, timeout = $10, retry_schedule = $11, disabled_reason = $12,
  client_certificate = $13, client_key = $14
WHERE organization_id = $15 AND id = $16 AND version = $17 AND deleted_at IS NULL
RETURNING id
