-- An organization's events in the order of their commits: SQLite adds the rowid to every index.
CREATE INDEX events_feed ON events (organization_id);

-- The newest event of each organization that retention removed: a reader that was before it has missed events.
CREATE TABLE feed_starts (
  organization_id TEXT PRIMARY KEY,
  position        INTEGER NOT NULL,
  event_id        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX feed_starts_newest ON feed_starts (position);
