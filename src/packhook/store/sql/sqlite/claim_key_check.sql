-- The first check to come stays.
INSERT INTO instance (name, value) VALUES ('key_check', ?) ON CONFLICT DO NOTHING
