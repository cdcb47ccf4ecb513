-- Select organizations' subscriptions, and the fingerprint that changes with any of them; no row without organization.
-- Differs because it takes many organizations at once. OFFSET 0 has each one's webhooks looked up by index, whatever the
-- planner estimates: before the first ANALYZE it would read the whole table.
SELECT o.id, o.subscriptions_version, w.id, w.version, w.event_code, w.enabled, w.verification_pending, w.paused,
  w.event_codes, w.filter
FROM organizations o LEFT JOIN LATERAL (
  SELECT id, version, event_code, enabled, verification_pending, paused, event_codes, filter FROM webhooks
  WHERE organization_id = o.id AND deleted_at IS NULL OFFSET 0) AS w ON true
WHERE o.id = ANY ($1::text[]) AND o.deleted_at IS NULL ORDER BY w.id
