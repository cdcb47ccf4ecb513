-- With what a webhook shows who it is (mTLS); empty where it does not. The key is sealed, as secrets are.
ALTER TABLE packhook.webhooks ADD COLUMN client_certificate text NOT NULL DEFAULT '';
ALTER TABLE packhook.webhooks ADD COLUMN client_key text NOT NULL DEFAULT '';
