-- Whether there is a schema yet, and a server that can hold it.
SELECT to_regclass('packhook.schema_version') IS NOT NULL, current_setting('server_version_num')::integer,
  current_setting('server_version'), current_setting('server_encoding')
