-- Statistics: counts of attempts by outcome and by the receiver's time.

-- Counts of attempts. span: minutes of a bucket, 5 or 60. source: a webhook's id, or 'node:' with the name of the node
-- whose webhooks it counts together. latency: the upper bound of a class in milliseconds, 0 without one.
CREATE TABLE statistics (
  span      INTEGER NOT NULL,
  start     INTEGER NOT NULL,
  source    TEXT NOT NULL,
  outcome   TEXT NOT NULL,
  latency   INTEGER NOT NULL,
  attempts  INTEGER NOT NULL,
  exhausted INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  PRIMARY KEY (span, start, source, outcome, latency)
) STRICT, WITHOUT ROWID;

-- Deleted webhooks whose statistics are still to be deleted.
CREATE TABLE orphaned_statistics (
  webhook_id TEXT PRIMARY KEY,
  deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
