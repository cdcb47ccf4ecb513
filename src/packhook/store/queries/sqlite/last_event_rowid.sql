-- Select the rowid of the newest event that there ever was: a rowid is a position in the feed, and is used once.
SELECT max(coalesce((SELECT max(rowid) FROM events), 0), coalesce((SELECT max(position) FROM feed_starts), 0))
