-- Remember that the statistics of deleted webhooks are to be deleted.
-- Differs because it takes many webhooks at once.
INSERT INTO orphaned_statistics (webhook_id, deleted_at)
SELECT webhook_id, $2::bigint FROM unnest($1::text[]) AS deleted (webhook_id) ORDER BY webhook_id
ON CONFLICT (webhook_id) DO NOTHING
