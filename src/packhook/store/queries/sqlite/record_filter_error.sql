-- Count events for which the filter of a webhook had no value; not where the filter is another by now.
INSERT INTO filter_errors (webhook_id, count, since, last_at, event_id, message)
SELECT id, ?3, ?4, ?5, ?6, ?7 FROM webhooks WHERE id = ?1 AND filter = ?2 AND deleted_at IS NULL
ON CONFLICT (webhook_id) DO UPDATE SET
  count = count + excluded.count, last_at = excluded.last_at, event_id = excluded.event_id, message = excluded.message
