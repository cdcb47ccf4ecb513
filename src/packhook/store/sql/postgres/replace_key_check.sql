-- Another check in place of one that its asker could open.
UPDATE instance SET value = $1 WHERE name = 'key_check' AND value = $2
