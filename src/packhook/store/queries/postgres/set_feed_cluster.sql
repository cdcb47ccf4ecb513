-- Store which cluster gives positions from now on.
INSERT INTO instance (name, value) VALUES ('feed_cluster', convert_to($1, 'UTF8'))
ON CONFLICT (name) DO UPDATE SET value = excluded.value
