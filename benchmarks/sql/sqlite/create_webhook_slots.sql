-- Create the webhooks that preloaded rows are spread over, numbered from 0; for this connection only.
CREATE TEMP TABLE webhook_slots (number INTEGER PRIMARY KEY, organization_id TEXT NOT NULL, webhook_id TEXT NOT NULL)
