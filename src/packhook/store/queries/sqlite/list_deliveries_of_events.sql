-- Select a page of the deliveries of some events, given as JSON: the first of each, merged.
-- Differs because a subquery in FROM cannot refer to the tables before it.
SELECT {delivery_columns:d.}
FROM json_each(:event_ids) wanted CROSS JOIN deliveries d ON d.rowid IN (
  SELECT rowid FROM deliveries WHERE event_id = wanted.value AND {conditions} ORDER BY id {order} LIMIT :limit)
ORDER BY d.id {order} LIMIT :limit
