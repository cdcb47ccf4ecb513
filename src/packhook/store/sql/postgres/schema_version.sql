-- The version the schema is at.
SELECT version FROM packhook.schema_version
