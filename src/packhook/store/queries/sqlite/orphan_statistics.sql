-- Remember that the statistics of deleted webhooks are to be deleted.
INSERT INTO orphaned_statistics (webhook_id, deleted_at) VALUES (?1, ?2) ON CONFLICT (webhook_id) DO NOTHING
