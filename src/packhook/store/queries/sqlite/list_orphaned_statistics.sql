-- Select webhooks that were deleted before an instant, and whose statistics are still to be deleted.
SELECT webhook_id FROM orphaned_statistics WHERE deleted_at < ?1 ORDER BY webhook_id LIMIT ?2
