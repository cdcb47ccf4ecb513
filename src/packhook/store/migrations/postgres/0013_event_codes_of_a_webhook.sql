-- event_codes: codes and patterns that a webhook subscribes to, as JSON; none: just its event_code. Such a webhook may
-- have deliveries of other event codes than its own, as one whose event code was changed.
SET LOCAL search_path = packhook;

ALTER TABLE webhooks ADD COLUMN event_codes text NOT NULL DEFAULT '[]';

CREATE TRIGGER webhooks_mark_event_codes_created BEFORE INSERT ON webhooks
  FOR EACH ROW WHEN (NEW.event_codes <> '[]') EXECUTE FUNCTION mark_event_code_changed();

CREATE TRIGGER webhooks_mark_event_codes_changed BEFORE UPDATE OF event_codes ON webhooks
  FOR EACH ROW WHEN (OLD.event_codes <> NEW.event_codes) EXECUTE FUNCTION mark_event_code_changed();
