-- Let one node at a time queue replays of a webhook, until its transaction ends.
SELECT pg_advisory_xact_lock(1885954920, hashtext($1))
