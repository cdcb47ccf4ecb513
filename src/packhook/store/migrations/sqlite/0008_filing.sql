-- What lists walk is written late, many rows at once (filed): the rows of many organizations lie far apart in it, and each
-- event by itself wrote pages of its own. The newest rows are found by their numbers, past those in the table filing.

-- In a list's index or not; all that was there is. Of an old delivery the event is found by its id.
ALTER TABLE deliveries ADD COLUMN event_seq INTEGER;
ALTER TABLE deliveries ADD COLUMN filed INTEGER NOT NULL DEFAULT 1;

DROP INDEX deliveries_of_organization;
DROP INDEX deliveries_of_webhook;
CREATE INDEX deliveries_of_organization ON deliveries (organization_id, id) WHERE filed = 1;
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id) WHERE filed = 1;

-- A table, not an index: to say in its row that an event is filed would write its data again.
CREATE TABLE filed_events (
  organization_id TEXT NOT NULL,
  id              TEXT NOT NULL,
  seq             INTEGER NOT NULL,
  PRIMARY KEY (organization_id, id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO filed_events SELECT organization_id, id, seq FROM events ORDER BY organization_id, id;
DROP INDEX events_of_organization;

-- Up to which numbers rows are filed, and were given to rows that have gone since; one row.
CREATE TABLE filing (
  events_filed     INTEGER NOT NULL,
  deliveries_filed INTEGER NOT NULL,
  events_given     INTEGER NOT NULL,
  deliveries_given INTEGER NOT NULL
) STRICT;

INSERT INTO filing SELECT
  coalesce((SELECT max(seq) FROM events), 0), coalesce((SELECT max(seq) FROM deliveries), 0), 0, 0;
