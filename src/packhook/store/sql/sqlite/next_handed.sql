-- When the first lease ends of what was handed over.
SELECT min(handed_until) FROM deliveries WHERE handed_until IS NOT NULL
