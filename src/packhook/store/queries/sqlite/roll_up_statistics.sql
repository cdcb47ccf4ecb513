-- Add the oldest buckets of 5 minutes to those of their hours; the counts of nodes are joined.
-- Differs because an INSERT cannot take what a DELETE returns: delete_rolled_up_statistics deletes the same rows.
INSERT INTO statistics (span, start, source, outcome, latency, attempts, exhausted, last_at)
SELECT 60, start - start % 3600000, CASE substr(source, 1, 5) WHEN 'node:' THEN 'node:' ELSE source END, outcome,
  latency, sum(attempts), sum(exhausted), max(last_at)
FROM (
  SELECT * FROM statistics WHERE span = 5 AND start < ?1 ORDER BY span, start, source, outcome, latency LIMIT ?2)
WHERE true GROUP BY 2, 3, 4, 5
ON CONFLICT (span, start, source, outcome, latency) DO UPDATE SET
  attempts = attempts + excluded.attempts, exhausted = exhausted + excluded.exhausted,
  last_at = max(last_at, excluded.last_at)
