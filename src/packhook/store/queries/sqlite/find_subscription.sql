-- Select what decides which events a webhook gets.
SELECT id, version, event_code, enabled, verification_pending, paused, event_codes, filter FROM webhooks
WHERE organization_id = ? AND id = ? AND deleted_at IS NULL
