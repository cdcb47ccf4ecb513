-- Operational events: why a webhook failed last, and the warnings of it that were published.

SET LOCAL search_path = packhook;

ALTER TABLE webhook_health ADD COLUMN cause text NOT NULL DEFAULT '';

CREATE TABLE webhook_alerts (
  webhook_id    text COLLATE "C" PRIMARY KEY,
  failing_since bigint NOT NULL,
  warnings      integer NOT NULL
);
