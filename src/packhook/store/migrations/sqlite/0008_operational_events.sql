-- Operational events: why a webhook failed last, the warnings of it that were published, and events that have no
-- deliveries yet.

ALTER TABLE webhook_health ADD COLUMN cause TEXT NOT NULL DEFAULT '';

CREATE TABLE webhook_alerts (
  webhook_id    TEXT PRIMARY KEY,
  failing_since INTEGER NOT NULL,
  warnings      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
  position        INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  event_id        TEXT NOT NULL UNIQUE
) STRICT;
