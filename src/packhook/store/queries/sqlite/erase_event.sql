-- Erase the data of an event that has some; no row where there is none.
UPDATE events SET data = CAST('null' AS BLOB), erased_at = ?1
WHERE organization_id = ?2 AND id = ?3 AND erased_at IS NULL RETURNING id
