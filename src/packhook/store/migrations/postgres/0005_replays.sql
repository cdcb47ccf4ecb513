-- Replays: what they select and how far they got, the events that they have still to queue, and the deliveries that
-- they wait for. examined is the last position whose delivery was looked at, step_at the instant of the next step, and
-- stalled_steps counts the last ones that got nowhere.
SET LOCAL search_path = packhook;

CREATE TABLE replays (
  id              text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL,
  webhook_id      text COLLATE "C" NOT NULL,
  selection       text COLLATE "C" NOT NULL,
  since           bigint NOT NULL,
  until           bigint,
  event_codes     text NOT NULL,
  subject         text COLLATE "C" NOT NULL,
  latest_only     boolean NOT NULL,
  status          text COLLATE "C" NOT NULL,
  matched         bigint NOT NULL,
  queued          bigint NOT NULL,
  delivered       bigint NOT NULL,
  failed          bigint NOT NULL,
  created_at      bigint NOT NULL,
  finished_at     bigint,
  created_by      text COLLATE "C" NOT NULL,
  examined        bigint NOT NULL DEFAULT -1,
  stalled_steps   bigint NOT NULL DEFAULT 0,
  step_at         bigint
) WITH (fillfactor=50);

CREATE INDEX replays_of_organization ON replays (organization_id, id);
CREATE INDEX replays_of_webhook ON replays (webhook_id, id);
CREATE INDEX replays_unfinished ON replays (organization_id) WHERE finished_at IS NULL;
CREATE INDEX replays_finished ON replays (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX replays_due ON replays (step_at) WHERE step_at IS NOT NULL;

CREATE TABLE replay_chunks (
  replay_id  text COLLATE "C" NOT NULL,
  number     bigint NOT NULL,
  event_ids  text NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (replay_id, number)
);

-- One row for each replay: the last chunk that it queues.
CREATE INDEX replay_chunks_by_age ON replay_chunks (created_at) WHERE number = 0;

CREATE TABLE replay_deliveries (
  replay_id   text COLLATE "C" NOT NULL,
  position    bigint NOT NULL,
  delivery_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (replay_id, position)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, autovacuum_vacuum_cost_delay=0);

CREATE INDEX deliveries_canceled_of_webhook ON deliveries (webhook_id, id) WHERE status = 'canceled';
