-- An event whose deliveries the database refuses to write is given up alone: refused_at says when, reason says why.
ALTER TABLE outbox ADD COLUMN refused_at bigint;
ALTER TABLE outbox ADD COLUMN reason text NOT NULL DEFAULT '';

-- Organizations are served in turn, so that the many events of one do not stand before another's.
CREATE INDEX outbox_waiting ON outbox (organization_id, position) WHERE refused_at IS NULL;
