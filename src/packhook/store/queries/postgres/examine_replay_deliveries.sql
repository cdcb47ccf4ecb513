-- Select the next deliveries that a replay waits for, with their status; null where the delivery was deleted.
-- Differs because OFFSET 0 has each delivery looked up by its key, whatever the planner estimates.
SELECT r.position, d.status FROM (
  SELECT position, delivery_id FROM replay_deliveries
  WHERE replay_id = $2 AND position > $3 ORDER BY position LIMIT $4) AS r
LEFT JOIN LATERAL (
  SELECT status FROM deliveries WHERE organization_id = $1 AND id = r.delivery_id OFFSET 0) AS d ON true
ORDER BY r.position
