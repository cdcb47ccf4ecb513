-- Record that endpoints failed: since when, when last, how often, and why the last time.
-- Differs because it takes many webhooks at once.
INSERT INTO webhook_health AS h (webhook_id, gone_since, failing_since, failed_at, failures, cause)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
  AS failed (webhook_id, gone_since, failing_since, failed_at, failures, cause)
ORDER BY webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET
  gone_since = excluded.gone_since, failed_at = greatest(h.failed_at, excluded.failed_at),
  failures = h.failures + excluded.failures, cause = excluded.cause
