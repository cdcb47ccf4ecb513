-- Replace what a node says about itself.
UPDATE nodes SET status = $2 WHERE id = $1
