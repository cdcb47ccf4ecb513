-- Select the events of a chunk that still exist with their data, and their deliveries to the webhook.
-- None of the events is erased before the transaction ends.
-- Differs because OFFSET 0 has each event looked up by its key, whatever the planner estimates.
SELECT e.id, e.event_code, e.created_at, d.id, d.status
FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN LATERAL (
  SELECT id, event_code, created_at FROM events WHERE organization_id = $2 AND id = wanted.id AND erased_at IS NULL
  OFFSET 0 FOR SHARE) AS e
LEFT JOIN LATERAL (
  SELECT id, status FROM deliveries WHERE event_id = e.id AND webhook_id || '' = $3 OFFSET 0) AS d ON true
