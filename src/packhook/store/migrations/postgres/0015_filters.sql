-- filter: a CEL expression; an event has to match it. filter_errors: where a webhook's filter has had no value for an
-- event since it was written, which counts as a match.
SET LOCAL search_path = packhook;

ALTER TABLE webhooks ADD COLUMN filter text NOT NULL DEFAULT '';

CREATE TABLE filter_errors (
  webhook_id text COLLATE "C" PRIMARY KEY,
  count      bigint NOT NULL,
  since      bigint NOT NULL,
  last_at    bigint NOT NULL,
  event_id   text NOT NULL,
  message    text NOT NULL
);

CREATE FUNCTION forget_filter_errors() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM packhook.filter_errors WHERE webhook_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER webhooks_forget_filter_errors AFTER UPDATE OF filter ON webhooks
  FOR EACH ROW WHEN (OLD.filter <> NEW.filter) EXECUTE FUNCTION forget_filter_errors();
