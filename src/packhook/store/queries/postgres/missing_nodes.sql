-- Select the nodes whose connection is gone; the caller holds their locks until its transaction ends.
SELECT id FROM nodes WHERE id <> $1 AND pg_try_advisory_xact_lock(id)
