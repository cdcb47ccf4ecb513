-- The oldest of the newest deliveries, up to a number, into the lists of their organizations and webhooks.
UPDATE deliveries SET filed = 1 WHERE seq > (SELECT deliveries_filed FROM filing) AND seq <= ? AND filed = 0
