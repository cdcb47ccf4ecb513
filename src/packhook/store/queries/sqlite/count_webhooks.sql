-- Count the webhooks of an organization that are not deleted.
SELECT count(*) FROM webhooks WHERE organization_id = ? AND deleted_at IS NULL
