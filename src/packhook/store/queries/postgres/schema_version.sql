-- Select the version of the schema.
SELECT version FROM packhook.schema_version
