-- When the data of an event were erased; null: they are there.
ALTER TABLE events ADD COLUMN erased_at INTEGER;
