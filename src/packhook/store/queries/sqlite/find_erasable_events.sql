-- Select the next events of a subject that were not erased.
SELECT id FROM events
WHERE organization_id = ?1 AND subject = ?2 AND subject <> '' AND id > ?3 AND erased_at IS NULL ORDER BY id LIMIT ?4
