-- Forget a deleted webhook, because its statistics are deleted.
DELETE FROM orphaned_statistics WHERE webhook_id = $1
