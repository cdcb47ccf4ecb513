-- Select a page of an organization's events.
SELECT {event_columns} FROM events WHERE {conditions} ORDER BY id {order} LIMIT :limit
