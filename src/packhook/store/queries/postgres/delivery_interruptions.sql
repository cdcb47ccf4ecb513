-- Select the interruptions of one delivery of an organization.
SELECT i.number, i.noticed_at FROM deliveries d JOIN interruptions i ON i.delivery_id = d.id
WHERE d.organization_id = $1 AND d.id = $2 ORDER BY i.noticed_at
