-- The version the schema is at from now on.
UPDATE packhook.schema_version SET version = $1
