-- End this process of the server, if it is still there; another one may have got its number. No row once it is gone.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
