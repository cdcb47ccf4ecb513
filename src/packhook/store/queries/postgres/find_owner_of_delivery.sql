-- Select the organization of the delivery with an id, unless it was deleted.
SELECT t.organization_id FROM deliveries t JOIN organizations o ON o.id = t.organization_id
WHERE t.id || '' = $1 AND o.deleted_at IS NULL
