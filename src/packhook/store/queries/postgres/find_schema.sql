-- Select whether there is a schema yet, and the server's version and encoding.
SELECT to_regclass('packhook.schema_version') IS NOT NULL, current_setting('server_version_num')::integer,
  current_setting('server_version'), current_setting('server_encoding')
