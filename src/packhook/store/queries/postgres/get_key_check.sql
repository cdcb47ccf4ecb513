-- Select the check that only the instance's master keys decrypt.
SELECT value FROM instance WHERE name = 'key_check'
