-- What the log of deliveries could not tell: attempts whose outcome nobody knows, and quickly, those of one event code.

-- A delivery was in hand when its process died, froze or stopped: whether this attempt was made is unknown.
CREATE TABLE interruptions (
  delivery_id TEXT NOT NULL,
  noticed_at  INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, noticed_at)
) STRICT, WITHOUT ROWID;

-- Whether a webhook may have deliveries of another event code than its own; of those that are there nobody knows.
ALTER TABLE webhooks ADD COLUMN recoded INTEGER NOT NULL DEFAULT 0;
UPDATE webhooks SET recoded = 1;

CREATE TRIGGER webhooks_recoded AFTER UPDATE OF event_code ON webhooks WHEN old.event_code <> new.event_code
BEGIN
  UPDATE webhooks SET recoded = 1 WHERE id = new.id;
END;

-- Deliveries of webhooks that were deleted are listed, too.
CREATE INDEX webhooks_ever_of_organization ON webhooks (organization_id);
