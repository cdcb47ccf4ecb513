-- Notify the other nodes.
SELECT pg_notify('packhook', $1)
