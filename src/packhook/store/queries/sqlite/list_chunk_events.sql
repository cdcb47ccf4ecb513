-- Select the events of a chunk that still exist with their data, and their deliveries to the webhook.
SELECT e.id, e.event_code, e.created_at, d.id, d.status, d.rowid
FROM json_each(?1) AS wanted CROSS JOIN events e ON e.organization_id = ?2 AND e.id = wanted.value AND e.erased_at IS NULL
LEFT JOIN deliveries d ON d.event_id = e.id AND +d.webhook_id = ?3
