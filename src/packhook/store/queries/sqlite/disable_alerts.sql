-- Note that packhook disabled a webhook, so that a recovery is reported although no failure was.
INSERT INTO webhook_alerts (webhook_id, failing_since, warnings) VALUES (?, ?, 0) ON CONFLICT (webhook_id) DO NOTHING
