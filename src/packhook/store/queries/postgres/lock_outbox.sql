-- Let one node at a time fan out what packhook.publish() stored, until its transaction ends.
-- Selects the version of the catalogue of event types as well, for every node asks this every other second.
SELECT pg_try_advisory_xact_lock(8097862917953646445), (SELECT coalesce(max(version), 0) FROM event_types)
