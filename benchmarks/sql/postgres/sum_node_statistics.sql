-- Insert what a node counted for all webhooks together.
INSERT INTO statistics (span, start, source, outcome, latency, attempts, exhausted, last_at)
SELECT span, start, 'node:', outcome, latency, sum(attempts), sum(exhausted), max(last_at)
FROM statistics WHERE source NOT LIKE 'node:%' GROUP BY span, start, outcome, latency
