-- Insert what the numbered webhooks counted until $1: a day in buckets of 5 minutes, and the week before it in hours.
-- Each bucket has an outcome $2 in four classes of latencies, which differ from webhook to webhook.
-- Differs because PostgreSQL has generate_series.
WITH
  buckets (span, start) AS (
    SELECT 5, start
    FROM generate_series($1::bigint - $1::bigint % 3600000 - 86400000, $1::bigint, 300000) AS start
    UNION ALL
    SELECT 60, start FROM generate_series(
      $1::bigint - $1::bigint % 3600000 - 691200000, $1::bigint - $1::bigint % 3600000 - 90000000, 3600000) AS start),
  classes (class, latency) AS (VALUES
    (0, 10), (1, 13), (2, 16), (3, 20), (4, 25), (5, 32), (6, 40), (7, 50), (8, 63), (9, 79), (10, 100), (11, 126),
    (12, 158), (13, 200), (14, 251), (15, 316), (16, 398), (17, 501), (18, 631), (19, 794))
INSERT INTO statistics (span, start, source, outcome, latency, attempts, exhausted, last_at)
SELECT b.span, b.start, w.webhook_id, $2, c.latency, 1 + b.start / 300000 % 7, 0, b.start
FROM buckets b CROSS JOIN webhook_slots w JOIN classes c ON (c.class + w.number) % 5 = 0
