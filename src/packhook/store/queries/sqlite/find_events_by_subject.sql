-- Select the ids of the newest events of a subject.
SELECT id FROM events WHERE organization_id = ?1 AND subject = ?2 AND subject <> '' ORDER BY id DESC LIMIT ?3
