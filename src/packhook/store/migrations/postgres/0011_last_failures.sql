-- The last attempt of each webhook that failed; webhook_health forgets failures with the next success.
SET LOCAL search_path = packhook;

CREATE TABLE last_failures (
  webhook_id    text COLLATE "C" PRIMARY KEY,
  failed_at     bigint NOT NULL,
  error_code    text NOT NULL,
  error_message text NOT NULL
);
