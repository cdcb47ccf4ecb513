-- Note which webhooks, warned of before, have failed for so long that the second or third warning is due; return them.
UPDATE webhook_alerts SET warnings = due.warnings FROM (
  SELECT h.webhook_id, CASE WHEN h.failed_at - h.failing_since >= ?2 THEN 3 ELSE 2 END AS warnings
  FROM webhook_health h JOIN webhooks w ON w.id = h.webhook_id JOIN webhook_alerts known ON known.webhook_id = h.webhook_id
  WHERE h.failed_at - h.failing_since >= ?1 AND w.enabled = 1 AND w.deleted_at IS NULL
    AND known.warnings BETWEEN 1 AND CASE WHEN h.failed_at - h.failing_since >= ?2 THEN 2 ELSE 1 END
  LIMIT ?3) AS due
WHERE webhook_alerts.webhook_id = due.webhook_id
RETURNING webhook_id
