-- Which webhooks were changed or deleted since an instant, for a node that may not have heard of it.
SELECT id FROM webhooks WHERE updated_at >= $1 OR deleted_at >= $1
