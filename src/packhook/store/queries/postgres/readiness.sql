-- Select the version of the schema, and whether the database takes writes: a standby takes none.
SELECT version, current_setting('transaction_read_only') = 'off' FROM packhook.schema_version
