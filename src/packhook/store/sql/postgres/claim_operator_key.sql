-- The first hash to come stays.
INSERT INTO instance (name, value) VALUES ('operator_key', $1) ON CONFLICT DO NOTHING RETURNING name
