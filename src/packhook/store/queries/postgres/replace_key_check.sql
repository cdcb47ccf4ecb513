-- Replace the key check, unless it is no longer the one that was read.
UPDATE instance SET value = $1 WHERE name = 'key_check' AND value = $2
