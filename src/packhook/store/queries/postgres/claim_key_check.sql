-- Store the first key check; later ones change nothing.
INSERT INTO instance (name, value) VALUES ('key_check', $1) ON CONFLICT DO NOTHING
