-- The newest deliveries, into the lists of their organizations and webhooks.
UPDATE deliveries SET filed = 1 WHERE seq > (SELECT deliveries FROM filing) AND filed = 0
