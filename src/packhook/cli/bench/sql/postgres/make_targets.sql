-- The webhooks that old rows are dealt out to, numbered from 0; for this connection only.
CREATE TEMP TABLE targets (number bigint PRIMARY KEY, organization_id text NOT NULL, webhook_id text NOT NULL)
