-- Keep the last failure of a webhook, with its cause.
INSERT INTO last_failures (webhook_id, failed_at, error_code, error_message) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (webhook_id) DO UPDATE SET
  failed_at = excluded.failed_at, error_code = excluded.error_code, error_message = excluded.error_message
WHERE excluded.failed_at >= failed_at
