-- Count the nodes that use the database. One that died is in here for some seconds.
SELECT count(*) FROM nodes
