-- Sum the attempts of the buckets that are asked for, as JSON, by step, outcome and latency.
SELECT k.value ->> 2, s.outcome, s.latency, sum(s.attempts), sum(s.exhausted), max(s.last_at)
FROM json_each(?1) AS k
CROSS JOIN statistics s ON s.span = k.value ->> 0 AND s.start = k.value ->> 1 AND s.source BETWEEN ?2 AND ?3
GROUP BY 1, 2, 3
