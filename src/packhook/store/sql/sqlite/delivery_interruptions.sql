-- The attempts of one delivery of an organization whose outcome nobody knows.
SELECT i.number, i.noticed_at FROM deliveries d CROSS JOIN interruptions i ON i.delivery_id = d.id
WHERE d.organization_id = ? AND d.id = ? ORDER BY i.noticed_at
