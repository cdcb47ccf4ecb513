-- Add the attempts of a batch to a bucket of 5 minutes.
INSERT INTO statistics (span, start, source, outcome, latency, attempts, exhausted, last_at) VALUES (5, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (span, start, source, outcome, latency) DO UPDATE SET
  attempts = attempts + excluded.attempts, exhausted = exhausted + excluded.exhausted,
  last_at = max(last_at, excluded.last_at)
