-- Let one node at a time decide how positions are shifted, until its transaction ends.
SELECT pg_advisory_xact_lock(8097862917953646446)
