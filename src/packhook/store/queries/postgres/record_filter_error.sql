-- Count events for which the filters of webhooks had no value; not where a filter is another by now.
-- Differs because it takes many webhooks at once.
INSERT INTO filter_errors AS known (webhook_id, count, since, last_at, event_id, message)
SELECT w.id, e.count, e.since, e.last_at, e.event_id, e.message
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
  AS e (webhook_id, filter, count, since, last_at, event_id, message)
JOIN webhooks w ON w.id = e.webhook_id AND w.filter = e.filter AND w.deleted_at IS NULL
ORDER BY w.id
ON CONFLICT (webhook_id) DO UPDATE SET
  count = known.count + excluded.count, last_at = excluded.last_at, event_id = excluded.event_id,
  message = excluded.message
