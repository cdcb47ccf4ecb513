-- The first check to come stays.
INSERT INTO instance (name, value) VALUES ('key_check', $1) ON CONFLICT DO NOTHING
