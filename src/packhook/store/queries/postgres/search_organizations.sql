-- Select what contains a text of a slice of the organizations, by id, and first where the slice ends.
WITH slice AS MATERIALIZED (
  SELECT id, name, deleted_at FROM organizations WHERE id > $2 ORDER BY id LIMIT $3)
SELECT 0 AS place, max(id) AS id, '' AS text, count(*) AS size FROM slice
UNION ALL
SELECT 1, id, name, 0 FROM slice
WHERE deleted_at IS NULL AND (strpos(lower(id), $1::text) > 0 OR strpos(lower(name), $1::text) > 0)
ORDER BY place, id
