-- Store the first hash of an operator key; later ones change nothing.
INSERT INTO instance (name, value) VALUES ('operator_key', $1) ON CONFLICT DO NOTHING RETURNING name
