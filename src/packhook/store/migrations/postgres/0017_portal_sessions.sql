-- Links to the portal, and the sessions that they become: session_hash is set once a link was opened. api_key_id is ''
-- where the operator key made it.
SET LOCAL search_path = packhook;

CREATE TABLE portal_sessions (
  id              text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL,
  capabilities    text NOT NULL,
  api_key_id      text COLLATE "C" NOT NULL,
  operator_mark   bytea NOT NULL,
  created_at      bigint NOT NULL,
  expires_at      bigint NOT NULL,
  opened_at       bigint,
  link_hash       bytea NOT NULL UNIQUE,
  session_hash    bytea UNIQUE
);

CREATE INDEX portal_sessions_of_organization ON portal_sessions (organization_id, id);

CREATE INDEX portal_sessions_by_expiry ON portal_sessions (expires_at);
