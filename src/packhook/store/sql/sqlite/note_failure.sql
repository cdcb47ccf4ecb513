-- An endpoint failed: since when, and how often.
INSERT INTO webhook_health (webhook_id, gone_since, failing_since, failures) VALUES (?, ?, ?, 1)
ON CONFLICT (webhook_id) DO UPDATE SET gone_since = excluded.gone_since, failures = failures + 1
