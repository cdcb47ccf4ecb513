-- Select the endpoints that contain a text in a slice of the webhooks of all organizations, and first where it ends.
WITH slice AS MATERIALIZED (
  SELECT id, organization_id, endpoint, deleted_at FROM webhooks WHERE id > $2 ORDER BY id LIMIT $3)
SELECT 0 AS place, max(id) AS id, '' AS owner, '' AS text, count(*) AS size FROM slice
UNION ALL
SELECT 1, id, organization_id, endpoint, 0 FROM slice
WHERE deleted_at IS NULL AND strpos(lower(endpoint), $1::text) > 0
ORDER BY place, id
