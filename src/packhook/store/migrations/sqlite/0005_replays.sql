-- Replays: what they select and how far they got, the events that they have still to queue, and the deliveries that
-- they wait for. examined is the last position whose delivery was looked at, step_at the instant of the next step, and
-- stalled_steps counts the last ones that got nowhere.
CREATE TABLE replays (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  selection       TEXT NOT NULL,
  since           INTEGER NOT NULL,
  until           INTEGER,
  event_codes     TEXT NOT NULL,
  subject         TEXT NOT NULL,
  latest_only     INTEGER NOT NULL,
  status          TEXT NOT NULL,
  matched         INTEGER NOT NULL,
  queued          INTEGER NOT NULL,
  delivered       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  finished_at     INTEGER,
  created_by      TEXT NOT NULL,
  examined        INTEGER NOT NULL DEFAULT -1,
  stalled_steps   INTEGER NOT NULL DEFAULT 0,
  step_at         INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX replays_of_organization ON replays (organization_id, id);
CREATE INDEX replays_of_webhook ON replays (webhook_id, id);
CREATE INDEX replays_unfinished ON replays (organization_id) WHERE finished_at IS NULL;
CREATE INDEX replays_finished ON replays (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX replays_due ON replays (step_at) WHERE step_at IS NOT NULL;

CREATE TABLE replay_chunks (
  replay_id  TEXT NOT NULL,
  number     INTEGER NOT NULL,
  event_ids  TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (replay_id, number)
) STRICT, WITHOUT ROWID;

-- One row for each replay: the last chunk that it queues.
CREATE INDEX replay_chunks_by_age ON replay_chunks (created_at) WHERE number = 0;

CREATE TABLE replay_deliveries (
  replay_id   TEXT NOT NULL,
  position    INTEGER NOT NULL,
  delivery_id TEXT NOT NULL,
  PRIMARY KEY (replay_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_canceled_of_webhook ON deliveries (webhook_id, id) WHERE status = 'canceled';
