-- The deliveries of a large call are made in slices: through which webhook those of an event are made.

ALTER TABLE outbox ADD COLUMN made_through TEXT NOT NULL DEFAULT '';

CREATE INDEX outbox_waiting ON outbox (organization_id, position) WHERE refused_at IS NULL;
