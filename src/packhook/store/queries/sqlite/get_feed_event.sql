-- Select the event of a rowid.
SELECT {event_columns} FROM events WHERE rowid = ?
