-- A page of an organization's webhooks.
SELECT id, organization_id, event_code, endpoint, secret, enabled, created_at, updated_at, version, description, headers,
  rate_limit, timeout, retry_schedule, disabled_reason, client_certificate, client_key, verification_pending,
  verified_at, allowed_rate
FROM webhooks WHERE {conditions} ORDER BY id {order} LIMIT :limit
