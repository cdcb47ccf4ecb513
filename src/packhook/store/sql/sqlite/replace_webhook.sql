-- The next version of a webhook; no row where somebody else was faster.
UPDATE webhooks SET
  event_code = ?, endpoint = ?, secret = ?, enabled = ?, updated_at = ?, version = ?, description = ?, headers = ?,
  rate_limit = ?, timeout = ?, retry_schedule = ?, disabled_reason = ?, client_certificate = ?, client_key = ?,
  verification_pending = ?, verified_at = ?, allowed_rate = ?
WHERE organization_id = ? AND id = ? AND version = ? AND deleted_at IS NULL
RETURNING id
