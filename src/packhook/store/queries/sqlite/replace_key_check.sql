-- Replace the key check, unless it is no longer the one that was read.
UPDATE instance SET value = ? WHERE name = 'key_check' AND value = ?
