-- Secrets that a rotation replaced, which still sign until they expire: encrypted, as JSON.
SET LOCAL search_path = packhook;
ALTER TABLE webhooks ADD COLUMN previous_secrets text NOT NULL DEFAULT '[]';
ALTER TABLE webhooks ADD COLUMN rotation_finish text NOT NULL DEFAULT '';

-- When a node next looks at a webhook with previous secrets: to prove the new one, or to erase what has expired.
CREATE TABLE secret_rotations (
  webhook_id      text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL,
  due_at          bigint NOT NULL
);

CREATE INDEX secret_rotations_due ON secret_rotations (due_at);
