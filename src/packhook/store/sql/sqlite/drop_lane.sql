-- A lane is empty.
DELETE FROM lanes WHERE webhook_id = ?
