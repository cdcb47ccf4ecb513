-- event_codes: codes and patterns that a webhook subscribes to, as JSON; none: just its event_code. Such a webhook may
-- have deliveries of other event codes than its own, as one whose event code was changed.
ALTER TABLE webhooks ADD COLUMN event_codes TEXT NOT NULL DEFAULT '[]';

CREATE TRIGGER webhooks_mark_event_codes_created AFTER INSERT ON webhooks
  WHEN new.event_codes <> '[]'
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;

CREATE TRIGGER webhooks_mark_event_codes_changed AFTER UPDATE OF event_codes ON webhooks
  WHEN old.event_codes <> new.event_codes
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;
