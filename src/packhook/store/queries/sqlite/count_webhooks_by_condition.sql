-- Count the webhooks of all organizations by condition.
SELECT CASE WHEN NOT w.enabled THEN 'disabled' WHEN w.paused THEN 'paused'
    WHEN h.failures >= ?1 THEN 'failing' ELSE 'active' END AS condition, count(*)
FROM webhooks w LEFT JOIN webhook_health h ON h.webhook_id = w.id
WHERE w.deleted_at IS NULL GROUP BY 1
