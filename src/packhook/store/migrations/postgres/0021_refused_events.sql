-- Events that were given up are listed, newest first: of all organizations, and of one.
CREATE INDEX outbox_refused ON packhook.outbox (event_id) WHERE refused_at IS NOT NULL;
CREATE INDEX outbox_refused_of_organization ON packhook.outbox (organization_id, event_id) WHERE refused_at IS NOT NULL;
