-- Move the positions of all later events behind those that any reader can have.
SELECT shift_feed($1)
