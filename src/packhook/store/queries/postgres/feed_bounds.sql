-- Select where what is readable ends, a number that no position has reached, and what retention removed last.
SELECT xmin + shift, xmax + shift, s.position, s.event_id
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xmax,
    coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM instance WHERE name = 'feed_shift'), 0) AS shift) AS now
LEFT JOIN feed_starts s ON s.organization_id = $1
