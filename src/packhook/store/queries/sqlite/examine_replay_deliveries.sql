-- Select the next deliveries that a replay waits for, with their status; null where the delivery was deleted.
SELECT r.position, d.status FROM replay_deliveries r
LEFT JOIN deliveries d ON d.organization_id = ?1 AND d.id = r.delivery_id
WHERE r.replay_id = ?2 AND r.position > ?3 ORDER BY r.position LIMIT ?4
