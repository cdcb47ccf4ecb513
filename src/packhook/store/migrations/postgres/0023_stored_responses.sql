-- A response to a change is stored with its idempotency key, as receipts are; receipts is the sealed response then.
ALTER TABLE packhook.idempotency_keys ADD COLUMN of_change boolean NOT NULL DEFAULT false;

-- An organization may have so many of them.
CREATE INDEX idempotency_keys_of_changes ON packhook.idempotency_keys (organization_id) WHERE of_change;
