-- Away with them.
DROP TABLE temp.targets
