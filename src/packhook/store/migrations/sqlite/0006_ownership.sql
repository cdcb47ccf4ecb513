-- Whether an endpoint has yet to prove that it wants what it gets, since when it has, and how fast it lets itself be sent
-- to (deliveries a second; 0 is no limit). Webhooks from before need no proof.
ALTER TABLE webhooks ADD COLUMN verification_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN verified_at INTEGER;
ALTER TABLE webhooks ADD COLUMN allowed_rate REAL NOT NULL DEFAULT 0;

CREATE INDEX webhooks_unproven ON webhooks (organization_id, event_code, id) WHERE verification_pending = 1 AND deleted_at IS NULL;
