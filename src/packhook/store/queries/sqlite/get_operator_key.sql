-- Select the hash of the operator key.
SELECT value FROM instance WHERE name = 'operator_key'
