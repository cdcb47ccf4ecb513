-- Select the interruptions of some of an organization's deliveries, given as JSON.
SELECT i.delivery_id, i.number, i.noticed_at FROM json_each(?2) w
CROSS JOIN deliveries d ON d.organization_id = ?1 AND d.id = w.value
CROSS JOIN interruptions i ON i.delivery_id = d.id LIMIT ?3
