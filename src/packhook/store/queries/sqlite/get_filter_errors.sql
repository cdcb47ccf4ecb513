-- Select where the filter of a webhook has had no value.
SELECT f.count, f.since, f.last_at, f.event_id, f.message
FROM webhooks w JOIN filter_errors f ON f.webhook_id = w.id
WHERE w.organization_id = ?1 AND w.id = ?2
