-- The next version of a webhook; no row where somebody else was faster.
UPDATE webhooks SET
  event_code = $1, endpoint = $2, secret = $3, enabled = $4, updated_at = $5, version = $6, description = $7,
  headers = $8, rate_limit = $9, timeout = $10, retry_schedule = $11, disabled_reason = $12,
  client_certificate = $13, client_key = $14, verification_pending = $15, verified_at = $16, allowed_rate = $17
WHERE organization_id = $18 AND id = $19 AND version = $20 AND deleted_at IS NULL
RETURNING id
