-- Secrets that a rotation replaced, which still sign until they expire: encrypted, as JSON.
ALTER TABLE webhooks ADD COLUMN previous_secrets TEXT NOT NULL DEFAULT '[]';
ALTER TABLE webhooks ADD COLUMN rotation_finish TEXT NOT NULL DEFAULT '';

-- When a node next looks at a webhook with previous secrets: to prove the new one, or to erase what has expired.
CREATE TABLE secret_rotations (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX secret_rotations_due ON secret_rotations (due_at);
