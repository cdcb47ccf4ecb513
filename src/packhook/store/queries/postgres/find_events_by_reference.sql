-- Select the ids of the newest events that have a reference, in any of its places, and their subjects.
SELECT * FROM (
  SELECT id, subject FROM events
  WHERE organization_id = $1 AND reference_1 = $2 AND reference_1 <> '' ORDER BY id DESC LIMIT $3) AS place_1
UNION SELECT * FROM (
  SELECT id, subject FROM events
  WHERE organization_id = $1 AND reference_2 = $2 AND reference_2 <> '' ORDER BY id DESC LIMIT $3) AS place_2
UNION SELECT * FROM (
  SELECT id, subject FROM events
  WHERE organization_id = $1 AND reference_3 = $2 AND reference_3 <> '' ORDER BY id DESC LIMIT $3) AS place_3
ORDER BY id DESC LIMIT $3
