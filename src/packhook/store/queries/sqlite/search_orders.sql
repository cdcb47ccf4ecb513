-- Select the organizations of a slice that have an order of this id or reference, and first where the slice ends.
WITH slice AS MATERIALIZED (
  SELECT id, deleted_at FROM organizations WHERE id > ?2 ORDER BY id LIMIT ?3)
SELECT 0 AS place, max(id) AS id, count(*) AS size FROM slice
UNION ALL
SELECT 1, s.id, 0 FROM slice s WHERE s.deleted_at IS NULL AND (SELECT 1 FROM events e WHERE e.organization_id = s.id AND e.subject = ?1 AND e.subject <> '' LIMIT 1) IS NOT NULL
UNION ALL
SELECT 2, s.id, 0 FROM slice s WHERE s.deleted_at IS NULL
  AND ((SELECT 1 FROM events e WHERE e.organization_id = s.id AND e.reference_1 = ?1 AND e.reference_1 <> '' LIMIT 1) IS NOT NULL
    OR (SELECT 1 FROM events e WHERE e.organization_id = s.id AND e.reference_2 = ?1 AND e.reference_2 <> '' LIMIT 1) IS NOT NULL
    OR (SELECT 1 FROM events e WHERE e.organization_id = s.id AND e.reference_3 = ?1 AND e.reference_3 <> '' LIMIT 1) IS NOT NULL)
ORDER BY place, id
