-- Forget the errors of the filter of a webhook that was deleted.
DELETE FROM filter_errors WHERE webhook_id = $1
