-- The fan-out: which of these organizations are there, and who of them wants these events now.
-- Differs because it takes all organizations and event codes of a transaction at once. OFFSET 0 has each organization's
-- webhooks looked up, whatever the planner knows of the table: before the first ANALYZE it would read everybody's.
SELECT o.id, w.event_code, w.id, w.version FROM organizations o
LEFT JOIN LATERAL (
  SELECT event_code, id, version FROM webhooks
  WHERE organization_id = o.id AND event_code = ANY ($2::text[]) AND enabled AND deleted_at IS NULL OFFSET 0) AS w ON true
WHERE o.id = ANY ($1::text[]) AND o.deleted_at IS NULL ORDER BY w.id
