-- A response to a change is stored with its idempotency key, as receipts are; receipts is the sealed response then.
ALTER TABLE idempotency_keys ADD COLUMN of_change INTEGER NOT NULL DEFAULT 0;

-- An organization may have so many of them.
CREATE INDEX idempotency_keys_of_changes ON idempotency_keys (organization_id) WHERE of_change;
