-- What the log of deliveries could not tell: attempts whose outcome nobody knows, and quickly, those of one event code.

SET LOCAL search_path = packhook;

-- A delivery was in hand when its node died, froze or stopped: whether this attempt was made is unknown.
CREATE TABLE interruptions (
  delivery_id text COLLATE "C" NOT NULL,
  noticed_at  bigint NOT NULL,
  number      integer NOT NULL,
  PRIMARY KEY (delivery_id, noticed_at)
);

-- Whether a webhook may have deliveries of another event code than its own; of those that are there nobody knows.
ALTER TABLE webhooks ADD COLUMN recoded boolean NOT NULL DEFAULT true;
ALTER TABLE webhooks ALTER COLUMN recoded SET DEFAULT false;

CREATE FUNCTION note_recoding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.recoded := true;
  RETURN NEW;
END
$$;

CREATE TRIGGER webhooks_recoded BEFORE UPDATE OF event_code ON webhooks FOR EACH ROW
  WHEN (old.event_code <> new.event_code) EXECUTE FUNCTION note_recoding();

-- Deliveries of webhooks that were deleted are listed, too.
CREATE INDEX webhooks_ever_of_organization ON webhooks (organization_id);
