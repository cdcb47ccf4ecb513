-- The event types of this instance; the built-in ones are in the code. A row carries the version of the whole catalogue that
-- it was saved with: what is newer than a known version has changed since. Nothing is deleted, types are archived.
CREATE TABLE event_types (
  code               TEXT PRIMARY KEY,
  description        TEXT NOT NULL,
  schema             TEXT,
  example            TEXT,
  subject_pointer    TEXT NOT NULL,
  reference_pointers TEXT NOT NULL,
  archived_at        INTEGER,
  created_at         INTEGER NOT NULL,
  updated_at         INTEGER NOT NULL,
  version            INTEGER NOT NULL
) STRICT;

CREATE INDEX event_types_by_version ON event_types (version);
