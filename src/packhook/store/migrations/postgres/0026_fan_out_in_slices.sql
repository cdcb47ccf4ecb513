-- Only SQLite makes the deliveries of one event in several transactions: nothing changes here. Both dialects have the same
-- versions.

SELECT 1;
