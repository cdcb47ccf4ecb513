-- Update an organization; no row where there is none, or it was deleted.
UPDATE organizations SET name = $2, retention = $3 WHERE id = $1 AND deleted_at IS NULL RETURNING id
