-- Set what cannot be set everywhere.
-- A database or role that is read-only by default is meant for people, and is overridden; a server that is takes no
-- writes, which readiness reports. Before version 17 there is no transaction_timeout.
SELECT set_config(name, CASE name WHEN 'transaction_timeout' THEN '0' ELSE 'off' END, false) FROM pg_settings
WHERE name = 'transaction_timeout' OR (name = 'default_transaction_read_only'
  AND source IN ('global', 'database', 'user', 'database user'))
