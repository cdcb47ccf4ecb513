-- Count the events that were given up.
SELECT count(*) FROM outbox WHERE refused_at IS NOT NULL
