-- The fan-out: which of these organizations are there, and who of them wants these events now.
-- Differs because it takes all organizations and event codes of a transaction at once.
SELECT o.id, w.event_code, w.id, w.version FROM organizations o
LEFT JOIN webhooks w ON w.organization_id = o.id AND w.event_code = ANY ($2::text[]) AND w.enabled AND w.deleted_at IS NULL
WHERE o.id = ANY ($1::text[]) AND o.deleted_at IS NULL ORDER BY w.id
