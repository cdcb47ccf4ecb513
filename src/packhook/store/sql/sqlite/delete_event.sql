-- An event past retention goes.
DELETE FROM events WHERE seq = ?
