-- The last attempt of each webhook that failed; webhook_health forgets failures with the next success.
CREATE TABLE last_failures (
  webhook_id    TEXT PRIMARY KEY,
  failed_at     INTEGER NOT NULL,
  error_code    TEXT NOT NULL,
  error_message TEXT NOT NULL
) STRICT, WITHOUT ROWID;
