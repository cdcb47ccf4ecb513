-- Sum the attempts of the buckets that are asked for by step, outcome and latency.
-- Differs because OFFSET 0 has each bucket looked up by its key, whatever the planner estimates.
SELECT k.step, s.outcome, s.latency, sum(s.attempts)::bigint, sum(s.exhausted)::bigint, max(s.last_at)
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS k (span, start, step)
CROSS JOIN LATERAL (
  SELECT * FROM statistics WHERE span = k.span AND start = k.start AND source BETWEEN $4 AND $5 OFFSET 0) AS s
GROUP BY k.step, s.outcome, s.latency
