-- filter: a CEL expression; an event has to match it. filter_errors: where a webhook's filter has had no value for an
-- event since it was written, which counts as a match.
ALTER TABLE webhooks ADD COLUMN filter TEXT NOT NULL DEFAULT '';

CREATE TABLE filter_errors (
  webhook_id TEXT PRIMARY KEY,
  count      INTEGER NOT NULL,
  since      INTEGER NOT NULL,
  last_at    INTEGER NOT NULL,
  event_id   TEXT NOT NULL,
  message    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER webhooks_forget_filter_errors AFTER UPDATE OF filter ON webhooks
  WHEN old.filter <> new.filter
BEGIN
  DELETE FROM filter_errors WHERE webhook_id = new.id;
END;
