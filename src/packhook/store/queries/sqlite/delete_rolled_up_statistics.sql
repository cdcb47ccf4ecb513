-- Delete the oldest buckets of 5 minutes, whose counts roll_up_statistics has added to their hours.
DELETE FROM statistics WHERE (span, start, source, outcome, latency) IN (
  SELECT span, start, source, outcome, latency FROM statistics
  WHERE span = 5 AND start < ?1 ORDER BY span, start, source, outcome, latency LIMIT ?2)
