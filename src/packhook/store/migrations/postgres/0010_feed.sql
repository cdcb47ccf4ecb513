-- The transaction that stored an event, as a position in the feed: those before it are finished before it is read.
-- The default is evaluated once for all events that are there already, so the table is not rewritten.
SET LOCAL search_path = packhook;

ALTER TABLE events ADD COLUMN position bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);

CREATE INDEX events_feed ON events (organization_id, position, id);

-- The newest event of each organization that retention removed: a reader that was before it has missed events.
CREATE TABLE feed_starts (
  organization_id text COLLATE "C" PRIMARY KEY,
  position        bigint NOT NULL,
  event_id        text COLLATE "C" NOT NULL
);

-- Ids of one transaction sort by the time they were made, to a fraction of a microsecond: the order of its publishes.
CREATE OR REPLACE FUNCTION new_id(prefix text) RETURNS text LANGUAGE sql AS $$
  SELECT prefix
    || lpad(to_hex(micros / 1000), 12, '0')
    || '7' || lpad(to_hex((micros % 1000) * 4), 3, '0')
    || to_hex((8 + (get_byte(decode(substr(random, 4, 2), 'hex'), 0) & 3))::int) || substr(random, 6, 15)
  FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS random,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) AS drawn
$$;

-- Move the positions of all later events: after a restore into another cluster, whose transactions have other numbers.
CREATE FUNCTION shift_feed(by bigint) RETURNS void LANGUAGE plpgsql SET search_path = packhook AS $$
BEGIN
  EXECUTE format('ALTER TABLE events ALTER COLUMN position SET DEFAULT (pg_current_xact_id()::text::bigint + %s)', by);
  INSERT INTO instance (name, value) VALUES ('feed_shift', convert_to(by::text, 'UTF8'))
  ON CONFLICT (name) DO UPDATE SET value = excluded.value;
END
$$;
REVOKE EXECUTE ON FUNCTION shift_feed(bigint) FROM PUBLIC;
