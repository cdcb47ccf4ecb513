-- Away with them.
DROP TABLE targets
