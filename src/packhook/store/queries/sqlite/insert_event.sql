-- Insert an event under a new rowid; its data are the bytes that were published.
INSERT INTO events (rowid, {new_event_columns}) VALUES (?1, {new_event_values:2})
