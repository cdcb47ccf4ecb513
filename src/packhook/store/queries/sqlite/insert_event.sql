-- Insert an event under a new rowid; its data are the bytes that were published.
INSERT INTO events (rowid, {event_columns}) VALUES (?1, {event_values:2})
