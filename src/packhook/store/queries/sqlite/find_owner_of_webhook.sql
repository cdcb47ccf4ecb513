-- Select the organization of the webhook with an id, unless it was deleted.
SELECT t.organization_id FROM webhooks t JOIN organizations o ON o.id = t.organization_id
WHERE t.id = ?1 AND t.deleted_at IS NULL AND o.deleted_at IS NULL
