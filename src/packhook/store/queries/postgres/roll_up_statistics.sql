-- Move the oldest buckets of 5 minutes to those of their hours; the counts of nodes are joined. Returns how many.
WITH moved AS (
  DELETE FROM statistics WHERE (span, start, source, outcome, latency) IN (
    SELECT span, start, source, outcome, latency FROM statistics
    WHERE span = 5 AND start < $1 ORDER BY span, start, source, outcome, latency LIMIT $2)
  RETURNING *),
hours AS (
  INSERT INTO statistics AS s (span, start, source, outcome, latency, attempts, exhausted, last_at)
  SELECT 60, start - start % 3600000, CASE substr(source, 1, 5) WHEN 'node:' THEN 'node:' ELSE source END AS of,
    outcome, latency, sum(attempts), sum(exhausted), max(last_at)
  FROM moved GROUP BY start - start % 3600000, of, outcome, latency ORDER BY 2, 3, 4, 5
  ON CONFLICT (span, start, source, outcome, latency) DO UPDATE SET
    attempts = s.attempts + excluded.attempts, exhausted = s.exhausted + excluded.exhausted,
    last_at = greatest(s.last_at, excluded.last_at))
SELECT count(*) FROM moved
