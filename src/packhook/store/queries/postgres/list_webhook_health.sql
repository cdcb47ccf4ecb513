-- Select what is known about the health of webhooks.
SELECT {health_columns}
FROM webhooks w
LEFT JOIN webhook_health h ON h.webhook_id = w.id
LEFT JOIN lanes l ON l.webhook_id = w.id
LEFT JOIN last_failures f ON f.webhook_id = w.id
WHERE {conditions} ORDER BY id {order} LIMIT :limit
