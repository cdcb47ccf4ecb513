-- Delete the counts of a webhook in these buckets, as JSON.
DELETE FROM statistics WHERE (span, start, source, outcome, latency) IN (
  SELECT s.span, s.start, s.source, s.outcome, s.latency FROM json_each(?1) AS k
  CROSS JOIN statistics s ON s.span = k.value ->> 0 AND s.start = k.value ->> 1 AND s.source = ?2)
