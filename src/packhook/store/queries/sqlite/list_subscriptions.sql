-- Select an organization's subscriptions, and the fingerprint that changes with any of them; no row without organization.
SELECT o.subscriptions_version, w.id, w.version, w.event_code, w.enabled, w.verification_pending, w.paused,
  w.event_codes, w.filter
FROM organizations o LEFT JOIN webhooks w ON w.organization_id = o.id AND w.deleted_at IS NULL
WHERE o.id = ? AND o.deleted_at IS NULL ORDER BY w.id
