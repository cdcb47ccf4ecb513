-- Another check in place of one that its asker could open.
UPDATE instance SET value = ? WHERE name = 'key_check' AND value = ?
