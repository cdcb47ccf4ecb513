-- cb1033cfe0ef5bd6c6826abc60b76490385c9eaa19848b1a7d9e9b5126757f99
CREATE TABLE instance (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE organizations (
  id                    TEXT PRIMARY KEY,
  name                  TEXT NOT NULL,
  created_at            INTEGER NOT NULL,
  deleted_at            INTEGER,
  subscriptions_version INTEGER NOT NULL DEFAULT 0
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
  id                   TEXT PRIMARY KEY,
  organization_id      TEXT NOT NULL REFERENCES organizations (id),
  event_code           TEXT NOT NULL,
  endpoint             TEXT NOT NULL,
  secret               TEXT NOT NULL,
  enabled              INTEGER NOT NULL,
  created_at           INTEGER NOT NULL,
  updated_at           INTEGER NOT NULL,
  version              INTEGER NOT NULL,
  description          TEXT NOT NULL,
  headers              TEXT NOT NULL,
  rate_limit           REAL NOT NULL,
  timeout              INTEGER NOT NULL,
  retry_schedule       TEXT NOT NULL,
  disabled_reason      TEXT NOT NULL,
  client_certificate   TEXT NOT NULL,
  client_key           TEXT NOT NULL,
  verification_pending INTEGER NOT NULL,
  verified_at          INTEGER,
  allowed_rate         REAL NOT NULL,
  event_code_changed   INTEGER NOT NULL DEFAULT 0,
  deleted_at           INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id) WHERE deleted_at IS NULL;
CREATE INDEX webhooks_of_organization_with_deleted ON webhooks (organization_id);
CREATE TRIGGER webhooks_mark_event_code_changed AFTER UPDATE OF event_code ON webhooks
  WHEN old.event_code <> new.event_code
BEGIN
  UPDATE webhooks SET event_code_changed = 1 WHERE id = new.id;
END;
CREATE TRIGGER webhooks_created AFTER INSERT ON webhooks
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = new.organization_id;
END;
CREATE TRIGGER webhooks_updated AFTER UPDATE ON webhooks
BEGIN
  UPDATE organizations SET subscriptions_version = subscriptions_version + 1 WHERE id = new.organization_id;
END;
CREATE TABLE webhook_health (
  webhook_id    TEXT PRIMARY KEY,
  gone_since    INTEGER,
  failing_since INTEGER NOT NULL,
  failed_at     INTEGER NOT NULL,
  failures      INTEGER NOT NULL,
  warned_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE lanes (
  webhook_id      TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  due_at          INTEGER NOT NULL,
  held_until      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (due_at);
CREATE TABLE events (
  rowid           INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  id              TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  data            BLOB NOT NULL,
  created_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_of_organization ON events (organization_id, id);
CREATE TABLE deliveries (
  rowid           INTEGER PRIMARY KEY,
  id              TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  webhook_id      TEXT NOT NULL,
  event_id        TEXT NOT NULL,
  event_code      TEXT NOT NULL,
  status          TEXT NOT NULL,
  urgency         INTEGER NOT NULL,
  attempt_count   INTEGER NOT NULL,
  attempts_before INTEGER NOT NULL,
  claimable_at    INTEGER,
  leased_until    INTEGER,
  lease           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX deliveries_of_organization ON deliveries (organization_id, id);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id, id);
CREATE INDEX deliveries_live ON deliveries (webhook_id, urgency, claimable_at) WHERE claimable_at IS NOT NULL;
CREATE INDEX deliveries_live_of_organization ON deliveries (organization_id, id) WHERE claimable_at IS NOT NULL;
CREATE INDEX deliveries_leased_directly ON deliveries (leased_until) WHERE leased_until IS NOT NULL;
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
CREATE TABLE interruptions (
  delivery_id TEXT NOT NULL,
  noticed_at  INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, noticed_at)
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
CREATE TABLE audit_entries (
  id              TEXT PRIMARY KEY,
  created_at      INTEGER NOT NULL,
  organization_id TEXT NOT NULL,
  action          TEXT NOT NULL,
  object_kind     TEXT NOT NULL,
  object_id       TEXT NOT NULL,
  changes         TEXT NOT NULL,
  reason          TEXT NOT NULL,
  actor           TEXT NOT NULL,
  key_prefix      TEXT NOT NULL,
  source          TEXT NOT NULL,
  request_id      TEXT NOT NULL,
  user_agent      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_entries_of_organization ON audit_entries (organization_id, id);
CREATE INDEX audit_entries_of_object ON audit_entries (object_id, id);
CREATE INDEX audit_entries_by_age ON audit_entries (created_at);
INSERT INTO instance VALUES ('operator_key', X'06E55B633481F7BB072957EABCF110C972E86691C3CFEDABE088024BFFE42F23');
INSERT INTO organizations VALUES ('acme', 'Acme', 1722589200000, NULL, 1);
INSERT INTO organizations VALUES ('gone', 'Gone', 1722589200000, 1722589200000, 2);
INSERT INTO organizations VALUES ('other', 'Other', 1722589200000, NULL, 1);
INSERT INTO api_keys VALUES ('key_01a22bd841c67325835828049060c453', 'acme', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'EEB8CFA755A1ACCEA4470ABBAADB13A6C2D03652D30DE473EB0C9C2987B49448', 1722589200000, NULL, NULL, NULL);
INSERT INTO api_keys VALUES ('key_01a22bd841d676b1badcd1b0b8fa8d18', 'other', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'F95EBB52F2EF7D55A48EE85F185CB5570C396188A7BCD47DD1D9DDF708F0D020', 1722589200000, NULL, NULL, NULL);
INSERT INTO api_keys VALUES ('key_01a22bd841e470a687cb8d2d0be2a8d4', 'gone', 'shop', '["events:publish","events:read"]', 'pk_q9Nh', X'14C844A941D457A8102A33CEF47CBEC01D318AD1E43A3DDD767EA76903E3228F', 1722589200000, NULL, NULL, 1722589200000);
INSERT INTO webhooks VALUES ('wh_01a22bd841e771918cdfaf394099f62f', 'acme', 'order.created', 'https://myapp.packcloud.local/order-created', 'q9NhjkjV9o', 1, 1722589200000, 1722589200000, 1, 'mine', '{"x":"y"}', 0.0, 0, '[1,2]', '', '', '', 0, NULL, 0.0, 0, NULL);
INSERT INTO webhooks VALUES ('wh_01a22bd841ec757a8fb9589b828ad200', 'other', 'order.created', 'https://myapp.packcloud.local/order-created', 'q9NhjkjV9o', 1, 1722589200000, 1722589200000, 1, '', '{}', 0.0, 0, '[]', '', '', '', 0, NULL, 0.0, 0, NULL);
INSERT INTO webhooks VALUES ('wh_01a22bd841ed703fb4d948e2a6e58572', 'gone', 'order.created', 'https://myapp.packcloud.local/order-created', '', 1, 1722589200000, 1722589200000, 2, '', '{}', 0.0, 0, '[]', '', '', '', 0, NULL, 0.0, 0, 1722589200000);
INSERT INTO webhook_health VALUES ('wh_01a22bd841e771918cdfaf394099f62f', NULL, 1722589200000, 1722589200000, 1, NULL);
INSERT INTO lanes VALUES ('wh_01a22bd841e771918cdfaf394099f62f', 'acme', 1722589200000, 1722589200000);
INSERT INTO lanes VALUES ('wh_01a22bd841ec757a8fb9589b828ad200', 'other', 1722589200000, 0);
INSERT INTO events VALUES (1, 'acme', 'evt_01a22bd841f476899c12d2f960b030b9', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (2, 'acme', 'evt_01a22bd841f476899c12d2fa477ab15d', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (3, 'acme', 'evt_01a22bd841f476899c12d2fb50ce2c29', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (4, 'acme', 'evt_01a22bd841f476899c12d2fcc3657085', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO events VALUES (5, 'other', 'evt_01a22bd841f97368af8295fdf355e0a6', 'order.created', X'7B226964223A226F72645F31222C22737461747573223A2263726561746564227D', 1722589200000);
INSERT INTO deliveries VALUES (1, 'dlv_019112513e807716b50d7eabb9fb43c8', 'acme', 'wh_01a22bd841e771918cdfaf394099f62f', 'evt_01a22bd841f476899c12d2f960b030b9', 'order.created', 'delivered', 1, 1, 0, NULL, NULL, 0, 1722589200000, 1722589200007);
INSERT INTO deliveries VALUES (2, 'dlv_019112513e807716b50d7eacc7090fec', 'acme', 'wh_01a22bd841e771918cdfaf394099f62f', 'evt_01a22bd841f476899c12d2fa477ab15d', 'order.created', 'pending', 1, 1, 0, 1722589200000, NULL, 0, 1722589200000, 1722589200007);
INSERT INTO deliveries VALUES (3, 'dlv_019112513e807716b50d7ead73b06fc4', 'acme', 'wh_01a22bd841e771918cdfaf394099f62f', 'evt_01a22bd841f476899c12d2fb50ce2c29', 'order.created', 'sending', 0, 0, 0, 1722589260000, NULL, 10, 1722589200000, 1722589200000);
INSERT INTO deliveries VALUES (4, 'dlv_019112513e807716b50d7eae152764f1', 'acme', 'wh_01a22bd841e771918cdfaf394099f62f', 'evt_01a22bd841f476899c12d2fcc3657085', 'order.created', 'pending', 0, 0, 0, 1722589200000, NULL, 0, 1722589200000, 1722589200000);
INSERT INTO deliveries VALUES (5, 'dlv_019112513e807716b50d7eafc9ad64dc', 'other', 'wh_01a22bd841ec757a8fb9589b828ad200', 'evt_01a22bd841f97368af8295fdf355e0a6', 'order.created', 'pending', 0, 0, 0, 1722589200000, NULL, 0, 1722589200000, 1722589200000);
INSERT INTO attempts VALUES ('dlv_019112513e807716b50d7eabb9fb43c8', 1, 1722589200000, 7, 'https://myapp.packcloud.local/order-created', '{"webhook-id":"evt_01a22bd841f476899c12d2f960b030b9"}', 200, '[["server","shop"]]', X'6F6B', '', '');
INSERT INTO attempts VALUES ('dlv_019112513e807716b50d7eacc7090fec', 1, 1722589200000, 7, 'https://myapp.packcloud.local/order-created', '{"webhook-id":"evt_01a22bd841f476899c12d2fa477ab15d"}', 500, '[["server","shop"]]', X'6F6B', 'unsuccessful_status', 'answered 500 Internal Server Error');
INSERT INTO interruptions VALUES ('dlv_019112513e807716b50d7eae152764f1', 1722589200000, 1);
INSERT INTO idempotency_keys VALUES ('acme', 'key', X'230D8358DC8E8890B4C58DEEB62912EE2F20357AE92A5CC861B98E68FE31ACB5', X'5B7B226964223A226576745F3031613232626438343166343736383939633132643266393630623033306239222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D2C7B226964223A226576745F3031613232626438343166343736383939633132643266613437376162313564222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D2C7B226964223A226576745F3031613232626438343166343736383939633132643266623530636532633239222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D2C7B226964223A226576745F3031613232626438343166343736383939633132643266636333363537303835222C226576656E745F636F6465223A226F726465722E63726561746564222C22637265617465645F6174223A313732323538393230303030302C2264656C69766572696573223A317D5D', 1722589200000);
INSERT INTO audit_entries VALUES ('aud_01a22bd841c174b1810319023e913574', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841c6732583582805ae77d850', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841d57330a02a52995c3d6416', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841d676b1badcd1b166fc3fee', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841e0771aac4083456122eb10', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841e470a687cb8d2e88ad9c2d', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841e6706da7954d3500db98be', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841e771918cdfaf3ac39296fb', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841ec757a8fb9589c498ab8e6', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841ed703fb4d948e3f6ce0dbb', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
INSERT INTO audit_entries VALUES ('aud_01a22bd841f3715d9ae62772c6db0912', 1722589200000, 'acme', 'webhook.updated', 'webhook', 'thing', '[]', '', 'operator', '', '192.0.2.7', '', '');
PRAGMA user_version = 1;
