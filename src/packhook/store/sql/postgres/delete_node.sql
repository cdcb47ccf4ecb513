-- A node is gone.
DELETE FROM nodes WHERE id = $1
