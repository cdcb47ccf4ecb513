-- Select the next events of an organization behind a position, in their order, and the last row that was looked at.
-- $1: the organization. $2, $3: the position. $4: the most rows to look at. $5: the codes; none: any. $6: the most
-- events. $7: the most bytes of their data, but one event always.
-- Only transactions before the oldest one that still runs: what commits later has a later position.
-- Differs because transactions of many nodes commit in any order.
SELECT position, matches, looked_at, {event_columns}
FROM (
  SELECT position, matches, {event_columns}, size,
    sum(size) OVER in_order AS bytes,
    count(*) FILTER (WHERE matches) OVER in_order AS number,
    count(*) OVER in_order AS looked_at,
    count(*) OVER () AS rows_looked_at
  FROM (
    SELECT position, {event_columns:e.}, m.matches, CASE WHEN m.matches THEN octet_length(data) ELSE 0 END AS size
    FROM (
      SELECT position, {event_columns} FROM events
      WHERE organization_id = $1 AND (position, id) > ($2::bigint, $3)
        AND position < (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + coalesce((
          SELECT convert_from(value, 'UTF8')::bigint FROM instance WHERE name = 'feed_shift'), 0))
      ORDER BY position, id LIMIT $4) e
    CROSS JOIN LATERAL (SELECT cardinality($5::text[]) = 0 OR event_code = ANY ($5::text[]) AS matches) m) sized
  WINDOW in_order AS (ORDER BY position, id ROWS UNBOUNDED PRECEDING)
) counted
WHERE number <= $6 AND (bytes <= $7 OR bytes = size) AND (matches OR looked_at = rows_looked_at) ORDER BY position, id
