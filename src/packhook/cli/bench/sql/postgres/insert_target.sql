-- One of them.
INSERT INTO targets VALUES ($1, $2, $3)
