-- One of them.
INSERT INTO temp.targets VALUES (?1, ?2, ?3)
