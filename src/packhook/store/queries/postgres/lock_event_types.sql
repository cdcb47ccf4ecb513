-- Let one change of the catalogue of event types follow another, until its transaction ends.
-- Only here because another node may change it at the same time.
SELECT pg_advisory_xact_lock(5120439917740923118)
