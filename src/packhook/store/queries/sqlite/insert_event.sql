-- Insert an event; its data are the bytes that were published.
INSERT INTO events ({event_columns}) VALUES ({event_values:1})
