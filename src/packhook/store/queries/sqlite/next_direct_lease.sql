-- Select when the first direct lease ends.
SELECT min(leased_until) FROM deliveries WHERE leased_until IS NOT NULL
