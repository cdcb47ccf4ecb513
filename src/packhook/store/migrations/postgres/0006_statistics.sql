-- Statistics: counts of attempts by outcome and by the receiver's time.

SET LOCAL search_path = packhook;

-- Counts of attempts. span: minutes of a bucket, 5 or 60. source: a webhook's id, or 'node:' with the name of the node
-- whose webhooks it counts together. latency: the upper bound of a class in milliseconds, 0 without one.
CREATE TABLE statistics (
  span      smallint NOT NULL,
  start     bigint NOT NULL,
  source    text COLLATE "C" NOT NULL,
  outcome   text COLLATE "C" NOT NULL,
  latency   integer NOT NULL,
  attempts  bigint NOT NULL,
  exhausted bigint NOT NULL,
  last_at   bigint NOT NULL,
  PRIMARY KEY (span, start, source, outcome, latency)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);

-- Deleted webhooks whose statistics are still to be deleted.
CREATE TABLE orphaned_statistics (
  webhook_id text COLLATE "C" PRIMARY KEY,
  deleted_at bigint NOT NULL
);
