-- The operator key's hash.
SELECT value FROM instance WHERE name = 'operator_key'
