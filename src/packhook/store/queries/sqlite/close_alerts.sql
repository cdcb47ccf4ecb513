-- Delete the alerts of those of these webhooks that are enabled; return them, with since when they had failed.
DELETE FROM webhook_alerts WHERE webhook_id IN (SELECT value FROM json_each(?)) AND EXISTS (
  SELECT 1 FROM webhooks w WHERE w.id = webhook_id AND w.enabled = 1 AND w.deleted_at IS NULL)
RETURNING webhook_id, failing_since
