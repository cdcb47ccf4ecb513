-- Select a page of an organization's deliveries of one event code: the newest of each webhook that may have some, merged.
-- Differs because a subquery in FROM cannot refer to the tables before it.
SELECT {delivery_columns:d.}
FROM webhooks w CROSS JOIN deliveries d ON d.rowid IN (
  SELECT rowid FROM deliveries WHERE webhook_id = w.id AND {conditions} ORDER BY id {order} LIMIT :limit)
WHERE w.organization_id = :organization_id AND (w.event_code = :event_code OR w.event_code_changed)
ORDER BY d.id {order} LIMIT :limit
