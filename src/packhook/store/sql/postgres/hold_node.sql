-- A node is there for as long as this connection is.
SELECT pg_advisory_lock($1)
