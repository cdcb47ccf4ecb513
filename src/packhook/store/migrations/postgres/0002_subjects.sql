-- What an event is about, and up to three other texts by which people know it; '' is none.
SET LOCAL search_path = packhook;

ALTER TABLE events
  ADD COLUMN subject     text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN reference_1 text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN reference_2 text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN reference_3 text COLLATE "C" NOT NULL DEFAULT '';

-- An event without the text is not in its index, so events of other kinds cost nothing.
CREATE INDEX events_by_subject ON events (organization_id, subject, id) WHERE subject <> '';
CREATE INDEX events_by_reference_1 ON events (organization_id, reference_1, id) WHERE reference_1 <> '';
CREATE INDEX events_by_reference_2 ON events (organization_id, reference_2, id) WHERE reference_2 <> '';
CREATE INDEX events_by_reference_3 ON events (organization_id, reference_3, id) WHERE reference_3 <> '';
