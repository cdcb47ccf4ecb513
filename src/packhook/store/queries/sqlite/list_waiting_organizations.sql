-- Select the organizations with events whose deliveries are yet to be made.
SELECT DISTINCT organization_id FROM outbox WHERE refused_at IS NULL
