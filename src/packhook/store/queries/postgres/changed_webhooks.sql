-- Select the webhooks that were changed or deleted since an instant, for a node that may have missed a notification.
SELECT id FROM webhooks WHERE updated_at >= $1 OR deleted_at >= $1
