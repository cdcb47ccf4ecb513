-- Let one node at a time fan out what packhook.publish() stored, until its transaction ends.
SELECT pg_try_advisory_xact_lock(8097862917953646445)
