-- The webhooks that old rows are dealt out to, numbered from 0; for this connection only.
CREATE TEMP TABLE targets (number INTEGER PRIMARY KEY, organization_id TEXT NOT NULL, webhook_id TEXT NOT NULL)
