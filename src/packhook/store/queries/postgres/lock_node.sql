-- Hold the lock that shows that a node is alive, for as long as this connection lives.
SELECT pg_advisory_lock($1)
