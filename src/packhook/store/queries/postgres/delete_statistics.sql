-- Delete the counts of a webhook in these buckets.
-- Differs because OFFSET 0 has each bucket looked up by its key, whatever the planner estimates.
DELETE FROM statistics WHERE ctid = ANY (ARRAY (
  SELECT s.row_id FROM unnest($1::smallint[], $2::bigint[]) AS k (span, start)
  CROSS JOIN LATERAL (
    SELECT ctid AS row_id FROM statistics WHERE span = k.span AND start = k.start AND source = $3 OFFSET 0) AS s))
RETURNING 1
