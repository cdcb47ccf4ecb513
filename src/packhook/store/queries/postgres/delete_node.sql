-- Delete the row of a node that is gone.
DELETE FROM nodes WHERE id = $1
