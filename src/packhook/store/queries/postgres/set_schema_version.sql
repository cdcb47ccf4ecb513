-- Set the version of the schema.
UPDATE packhook.schema_version SET version = $1
