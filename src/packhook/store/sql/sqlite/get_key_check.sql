-- What only the instance's master keys open.
SELECT value FROM instance WHERE name = 'key_check'
