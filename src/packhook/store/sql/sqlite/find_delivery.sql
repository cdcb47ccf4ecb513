-- The number of a delivery of an organization.
-- Differs because an organization's newest deliveries are in no index yet.
SELECT seq FROM deliveries WHERE filed = 1 AND organization_id = ?1 AND id = ?2
UNION ALL SELECT seq FROM deliveries
WHERE seq > (SELECT deliveries_filed FROM filing) AND organization_id = ?1 AND id = ?2
LIMIT 1
