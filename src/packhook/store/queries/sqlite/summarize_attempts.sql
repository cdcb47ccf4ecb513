-- Select the attempts of some of an organization's deliveries, given as JSON, without what was sent and received.
SELECT {attempt_summary_columns:a.} FROM json_each(?2) w
CROSS JOIN deliveries d ON d.organization_id = ?1 AND d.id = w.value
CROSS JOIN attempts a ON a.delivery_id = d.id LIMIT ?3
