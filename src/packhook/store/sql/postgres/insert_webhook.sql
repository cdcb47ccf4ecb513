-- Create a webhook.
INSERT INTO webhooks (
  id, organization_id, event_code, endpoint, secret, enabled, created_at, updated_at, version, description, headers,
  rate_limit, timeout, retry_schedule, disabled_reason, client_certificate, client_key, verification_pending, verified_at, allowed_rate
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
