-- Select whether there is a table yet, the server's version and encoding, and whether there is a schema.
-- The last two are the settings of the server that durability rests on.
SELECT to_regclass('packhook.schema_version') IS NOT NULL, current_setting('server_version_num')::integer,
  current_setting('server_version'), current_setting('server_encoding'), to_regnamespace('packhook') IS NOT NULL,
  current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean
