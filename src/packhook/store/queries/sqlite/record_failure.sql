-- Record that an endpoint failed: since when, when last, how often, and why the last time.
INSERT INTO webhook_health (webhook_id, gone_since, failing_since, failed_at, failures, cause)
VALUES (?1, ?2, ?3, ?3, 1, ?4)
ON CONFLICT (webhook_id) DO UPDATE SET
  gone_since = excluded.gone_since, failed_at = max(failed_at, excluded.failed_at), failures = failures + 1,
  cause = excluded.cause
