-- An endpoint answers well.
DELETE FROM webhook_health WHERE webhook_id = ?
