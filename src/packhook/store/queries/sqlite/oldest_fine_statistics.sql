-- Select the first bucket of 5 minutes that is left.
SELECT min(start) FROM statistics WHERE span = 5
