-- Create the webhooks that preloaded rows are spread over, numbered from 0; for this connection only.
CREATE TEMP TABLE webhook_slots (number bigint PRIMARY KEY, organization_id text NOT NULL, webhook_id text NOT NULL)
