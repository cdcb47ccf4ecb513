-- Store the first key check; later ones change nothing.
INSERT INTO instance (name, value) VALUES ('key_check', ?) ON CONFLICT DO NOTHING
