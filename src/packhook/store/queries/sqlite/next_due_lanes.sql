-- Select the lanes that are due next, without those of some organizations, given as JSON.
SELECT webhook_id, due_at FROM lanes WHERE organization_id NOT IN (SELECT value FROM json_each(?2))
ORDER BY due_at LIMIT ?1
