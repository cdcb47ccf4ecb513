-- Deliveries by number: rows are added at the end of the table and found again by an integer; the indexes hold it, too.
-- What is handed over within its publish is in no lane: most of it is settled milliseconds later. It has no claimable_at,
-- but handed_until, the end of its lease, and a small index of its own; a lease that has run out goes into the lane.

ALTER TABLE deliveries RENAME TO deliveries_by_id;

CREATE TABLE deliveries (
  seq             INTEGER PRIMARY KEY,
  id              TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  event_id        TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  status          TEXT NOT NULL,
  urgency         INTEGER NOT NULL,
  attempt_count   INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  claimable_at    INTEGER,
  handed_until    INTEGER,
  lease           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
) STRICT;

INSERT INTO deliveries (
  id, organization_id, webhook_id, event_id, event_code, status, urgency, attempt_count, attempts_before, claimable_at,
  lease, created_at, updated_at
) SELECT id, organization_id, webhook_id, event_id, event_code, status, urgency, attempt_count, attempts_before,
  claimable_at, lease, created_at, updated_at
FROM deliveries_by_id ORDER BY id;

DROP TABLE deliveries_by_id;

CREATE UNIQUE INDEX deliveries_of_organization ON deliveries (organization_id, id);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id, id);

-- What a claim reads, lane by lane: what waits, and what was claimed; the finished and the handed over are not in it.
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at) WHERE claimable_at IS NOT NULL;
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id) WHERE claimable_at IS NOT NULL;

CREATE INDEX deliveries_handed ON deliveries (handed_until) WHERE handed_until IS NOT NULL;

CREATE INDEX deliveries_exhausted_of_webhook ON deliveries (webhook_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_exhausted ON deliveries (organization_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled ON deliveries (organization_id, id) WHERE status = 'canceled';
