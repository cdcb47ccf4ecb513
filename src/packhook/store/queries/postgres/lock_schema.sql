-- Let one node at a time migrate the schema; the number is "packhook" in bytes.
SELECT pg_advisory_lock(8097862917953646443)
