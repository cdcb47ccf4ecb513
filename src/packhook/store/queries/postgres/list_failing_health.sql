-- Select the same of those that have failed several times in a row. Reads only webhooks that fail.
SELECT {health_columns}
FROM webhook_health h
CROSS JOIN webhooks w
LEFT JOIN lanes l ON l.webhook_id = w.id
LEFT JOIN last_failures f ON f.webhook_id = w.id
WHERE w.id = h.webhook_id AND {conditions} ORDER BY h.webhook_id {order} LIMIT :limit
