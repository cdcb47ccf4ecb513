-- Forget the last failure of a webhook that was deleted.
DELETE FROM last_failures WHERE webhook_id = ?1
