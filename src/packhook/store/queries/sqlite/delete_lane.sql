-- Delete an empty lane.
DELETE FROM lanes WHERE webhook_id = ?
