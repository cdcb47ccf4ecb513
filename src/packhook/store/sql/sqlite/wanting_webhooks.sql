-- The fan-out: who wants this event now.
SELECT id, version FROM webhooks
WHERE organization_id = ? AND event_code = ? AND enabled = 1 AND deleted_at IS NULL ORDER BY id
