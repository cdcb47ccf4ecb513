-- 78c46d902ab1a40aaeffccb5fa6dda46b7381d5fef3ac87eb8e29d290398756e
CREATE TABLE instance (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE organizations (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE api_keys (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name            TEXT NOT NULL,
  scopes          TEXT NOT NULL,
  prefix          TEXT NOT NULL,
  key_hash        BLOB NOT NULL UNIQUE,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER,
  last_used_at    INTEGER,
  revoked_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_of_organization ON api_keys (organization_id, id);
CREATE TABLE webhooks (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  event_code      TEXT NOT NULL,
  endpoint        TEXT NOT NULL,
  secret          TEXT NOT NULL,
  enabled         INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  version         INTEGER NOT NULL,
  description     TEXT NOT NULL,
  headers         TEXT NOT NULL,
  rate_limit      REAL NOT NULL,
  timeout         INTEGER NOT NULL,
  retry_schedule  TEXT NOT NULL,
  disabled_reason TEXT NOT NULL,
  deleted_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_wanting ON webhooks (organization_id, event_code, id, version)
  WHERE enabled = 1 AND deleted_at IS NULL;
CREATE TABLE webhook_health (
  webhook_id    TEXT PRIMARY KEY,
  gone_since    INTEGER,
  failing_since INTEGER NOT NULL,
  failed_at     INTEGER NOT NULL,
  failures      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lanes (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL,
  held_until      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (due_at);
CREATE TABLE events (
  seq             INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  id              TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  data            BLOB NOT NULL,
  created_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_of_organization ON events (organization_id, id);
CREATE TABLE deliveries (
  id              TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  event_id        TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  status          TEXT NOT NULL,
  urgency         INTEGER NOT NULL,
  attempt_count   INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  claimable_at    INTEGER,
  lease           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_of_organization ON deliveries (organization_id, id);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at)
  WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id)
  WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_exhausted_of_webhook ON deliveries (webhook_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_exhausted ON deliveries (organization_id, id) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled ON deliveries (organization_id, id) WHERE status = 'canceled';
CREATE TABLE attempts (
  delivery_id      TEXT NOT NULL,
  number           INTEGER NOT NULL,
  started_at       INTEGER NOT NULL,
  duration         INTEGER NOT NULL,
  url              TEXT NOT NULL,
  request_headers  TEXT NOT NULL,
  status_code      INTEGER,
  response_headers TEXT NOT NULL,
  response_body    BLOB NOT NULL,
  error_code       TEXT NOT NULL,
  error_message    TEXT NOT NULL,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency_keys (
  organization_id TEXT NOT NULL,
  key             TEXT NOT NULL,
  fingerprint     BLOB NOT NULL,
  receipts        BLOB NOT NULL,
  created_at      INTEGER NOT NULL,
  PRIMARY KEY (organization_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
INSERT INTO instance VALUES ('operator_key', X'06E55B633481F7BB072957EABCF110C972E86691C3CFEDABE088024BFFE42F23');
INSERT INTO organizations VALUES ('acme', 'Acme', 1722589200000, NULL);
INSERT INTO organizations VALUES ('gone', 'Gone', 1722589200000, 1722589200000);
INSERT INTO organizations VALUES ('other', 'Other', 1722589200000, NULL);
INSERT INTO api_keys VALUES ('key_01a210a115d375c6967d43bdb4114e22', 'acme', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'DFE54DD7AE888476338D33055FEF79EBCD4F3B971A94BD3C1C6B3206B1CE071D', 1722589200000, NULL, NULL, NULL);
INSERT INTO api_keys VALUES ('key_01a210a115d77155bb9168fd1e902445', 'other', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'1ADB6FC584E8F8C40C20F93D88058740A8F1742E5FFE2056E03911B21F4F4F73', 1722589200000, NULL, NULL, NULL);
INSERT INTO api_keys VALUES ('key_01a210a115e47545a093ac6372a96dcb', 'gone', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'38B2AFB8E6A5176967BCB1AC9C87F2FE51DCCC6F8D686491E019E6A87845042E', 1722589200000, NULL, NULL, 1722589200000);
INSERT INTO webhooks VALUES ('wh_01a210a115e9750b9afc28215d9d1085', 'acme', 'order.created', 'https://myapp.packcloud.local/order-created', 'q9NhjkjV9o', 1, 1722589200000, 1722589200000, 1, 'mine', '{"x":"y"}', 0.0, 0, '[1,2]', '', NULL);
INSERT INTO webhooks VALUES ('wh_01a210a115ed76889bb6589f2683f035', 'other', 'order.created', 'https://myapp.packcloud.local/order-created', 'q9NhjkjV9o', 1, 1722589200000, 1722589200000, 1, '', '{}', 0.0, 0, '[]', '', NULL);
INSERT INTO webhooks VALUES ('wh_01a210a115f0701e92ad3433ac233c54', 'gone', 'order.created', 'https://myapp.packcloud.local/order-created', '', 1, 1722589200000, 1722589200000, 2, '', '{}', 0.0, 0, '[]', '', 1722589200000);
INSERT INTO webhook_health VALUES ('wh_01a210a115e9750b9afc28215d9d1085', NULL, 1722589200000, 1722589200000, 1);
INSERT INTO lanes VALUES ('wh_01a210a115e9750b9afc28215d9d1085', 'acme', 1722589200000, 1722589200000);
INSERT INTO lanes VALUES ('wh_01a210a115ed76889bb6589f2683f035', 'other', 1722589200000, 0);
INSERT INTO events VALUES (1, 'acme', 'evt_01a210a115f5710c8c9d1c11d8cbe206', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (2, 'acme', 'evt_01a210a115f5710c8c9d1c120479f13b', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (3, 'acme', 'evt_01a210a115f5710c8c9d1c137bb94b50', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (4, 'other', 'evt_01a210a116037289ad14fe057d9f3e9e', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO deliveries VALUES ('dlv_01a210a115f5710c8c9d1c14a23ee1ad', 'acme', 'wh_01a210a115e9750b9afc28215d9d1085', 'evt_01a210a115f5710c8c9d1c11d8cbe206', 'order.created', 'delivered', 1, 1, 0, NULL, 0, 1722589200000, 1722589200007);
INSERT INTO deliveries VALUES ('dlv_01a210a115f5710c8c9d1c15a155e422', 'acme', 'wh_01a210a115e9750b9afc28215d9d1085', 'evt_01a210a115f5710c8c9d1c120479f13b', 'order.created', 'pending', 1, 1, 0, 1722589200000, 0, 1722589200000, 1722589200007);
INSERT INTO deliveries VALUES ('dlv_01a210a115f5710c8c9d1c16c52ac555', 'acme', 'wh_01a210a115e9750b9afc28215d9d1085', 'evt_01a210a115f5710c8c9d1c137bb94b50', 'order.created', 'sending', 0, 0, 0, 1722589260000, 9, 1722589200000, 1722589200000);
INSERT INTO deliveries VALUES ('dlv_01a210a116037289ad14fe065fc240ad', 'other', 'wh_01a210a115ed76889bb6589f2683f035', 'evt_01a210a116037289ad14fe057d9f3e9e', 'order.created', 'pending', 0, 0, 0, 1722589200000, 0, 1722589200000, 1722589200000);
INSERT INTO attempts VALUES ('dlv_01a210a115f5710c8c9d1c14a23ee1ad', 1, 1722589200000, 7, 'https://myapp.packcloud.local/order-created', '{"webhook-id":"evt_01a210a115f5710c8c9d1c11d8cbe206"}', 200, '[["server","shop"]]', X'6F6B', '', '');
INSERT INTO attempts VALUES ('dlv_01a210a115f5710c8c9d1c15a155e422', 1, 1722589200000, 7, 'https://myapp.packcloud.local/order-created', '{"webhook-id":"evt_01a210a115f5710c8c9d1c120479f13b"}', 500, '[["server","shop"]]', X'6F6B', 'unsuccessful_status', 'answered 500 Internal Server Error');
INSERT INTO idempotency_keys VALUES ('acme', 'key', X'230D8358DC8E8890B4C58DEEB62912EE2F20357AE92A5CC861B98E68FE31ACB5', X'5B7B226964223A226576745F3031613231306131313566353731306338633964316331316438636265323036222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D2C7B226964223A226576745F3031613231306131313566353731306338633964316331323034373966313362222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D2C7B226964223A226576745F3031613231306131313566353731306338633964316331333762623934623530222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D5D', 1722589200000);
PRAGMA user_version = 1;
