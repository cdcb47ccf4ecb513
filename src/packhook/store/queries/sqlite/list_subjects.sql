-- Select the subject of an event.
SELECT id, subject FROM events WHERE organization_id = ?1 AND id = ?2
