-- Whether an endpoint has yet to prove that it wants what it gets, since when it has, and how fast it lets itself be sent
-- to (deliveries a second; 0 is no limit). Webhooks from before need no proof.
ALTER TABLE packhook.webhooks ADD COLUMN verification_pending boolean NOT NULL DEFAULT false;
ALTER TABLE packhook.webhooks ADD COLUMN verified_at bigint;
ALTER TABLE packhook.webhooks ADD COLUMN allowed_rate double precision NOT NULL DEFAULT 0;

CREATE INDEX webhooks_unproven ON packhook.webhooks (organization_id, event_code, id)
  WHERE verification_pending AND deleted_at IS NULL;
