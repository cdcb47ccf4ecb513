-- Whether this process of the server is still there; another one may get its number.
SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
