-- With what a webhook shows who it is (mTLS); empty where it does not. The key is sealed, as secrets are.
ALTER TABLE webhooks ADD COLUMN client_certificate TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN client_key TEXT NOT NULL DEFAULT '';
