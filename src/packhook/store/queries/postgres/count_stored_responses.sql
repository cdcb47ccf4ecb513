-- Count the responses to changes that an organization has stored, up to a limit.
SELECT count(*) FROM (SELECT 1 FROM idempotency_keys WHERE organization_id = $1 AND of_change LIMIT $2) AS stored
