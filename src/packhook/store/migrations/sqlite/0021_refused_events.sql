-- An event whose deliveries the database refuses to write is given up alone: refused_at says when, reason says why.
ALTER TABLE outbox ADD COLUMN refused_at INTEGER;
ALTER TABLE outbox ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- Events that were given up are listed, newest first: of all organizations, and of one.
CREATE INDEX outbox_refused ON outbox (event_id) WHERE refused_at IS NOT NULL;
CREATE INDEX outbox_refused_of_organization ON outbox (organization_id, event_id) WHERE refused_at IS NOT NULL;
