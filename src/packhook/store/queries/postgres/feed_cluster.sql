-- Select the cluster that gave the newest positions, and by how much they are shifted.
SELECT (SELECT convert_from(value, 'UTF8') FROM instance WHERE name = 'feed_cluster'),
  coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM instance WHERE name = 'feed_shift'), 0)
