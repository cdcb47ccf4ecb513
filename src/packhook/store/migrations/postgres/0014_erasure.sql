-- When the data of an event were erased; null: they are there.
SET LOCAL search_path = packhook;

ALTER TABLE events ADD COLUMN erased_at bigint;
