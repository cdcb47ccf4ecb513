-- End this server process, unless another one has got its number by now. No row once it is gone.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
