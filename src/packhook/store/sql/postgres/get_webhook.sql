-- One webhook of an organization.
SELECT id, organization_id, event_code, endpoint, secret, enabled, created_at, updated_at, version, description, headers,
  rate_limit, timeout, retry_schedule, disabled_reason, client_certificate, client_key, verification_pending,
  verified_at, allowed_rate
FROM webhooks WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL
