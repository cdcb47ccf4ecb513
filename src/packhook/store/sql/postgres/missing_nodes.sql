-- Nodes whose connection is gone; whoever asks holds what it finds until its transaction ends.
SELECT id FROM nodes WHERE id <> $1 AND pg_try_advisory_xact_lock(id)
