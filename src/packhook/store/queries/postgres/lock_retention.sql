-- Let one node at a time apply retention, until its transaction ends.
SELECT pg_try_advisory_xact_lock(8097862917953646444)
