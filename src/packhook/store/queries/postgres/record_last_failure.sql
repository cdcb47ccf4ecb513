-- Keep the last failures of webhooks, with their causes.
-- Differs because it takes many webhooks at once.
INSERT INTO last_failures AS f (webhook_id, failed_at, error_code, error_message)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[])
  AS failed (webhook_id, failed_at, error_code, error_message)
ORDER BY webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET
  failed_at = excluded.failed_at, error_code = excluded.error_code, error_message = excluded.error_message
WHERE excluded.failed_at >= f.failed_at
