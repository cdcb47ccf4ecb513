-- Select a row where an organization has events whose deliveries are yet to be made.
SELECT 1 FROM outbox WHERE organization_id = ? AND refused_at IS NULL LIMIT 1
