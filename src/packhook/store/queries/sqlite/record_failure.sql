-- Record that an endpoint failed: since when, when last, and how often.
INSERT INTO webhook_health (webhook_id, gone_since, failing_since, failed_at, failures) VALUES (?1, ?2, ?3, ?3, 1)
ON CONFLICT (webhook_id) DO UPDATE SET
  gone_since = excluded.gone_since, failed_at = max(failed_at, excluded.failed_at), failures = failures + 1
