-- Delete buckets of an hour past their time, the oldest first.
DELETE FROM statistics WHERE (span, start, source, outcome, latency) IN (
  SELECT span, start, source, outcome, latency FROM statistics
  WHERE span = 60 AND start < ?1 ORDER BY span, start, source, outcome, latency LIMIT ?2)
