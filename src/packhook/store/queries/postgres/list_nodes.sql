-- List the nodes that use the database, the oldest first, with what each last said about itself.
-- One that died is in here for some seconds.
SELECT id, since, status FROM nodes ORDER BY since, id LIMIT $1
