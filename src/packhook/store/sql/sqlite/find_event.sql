-- The number of an event of an organization.
-- Differs because an organization's newest events are in no index yet.
SELECT seq FROM filed_events WHERE organization_id = ?1 AND id = ?2
UNION ALL SELECT seq FROM events WHERE seq > (SELECT events FROM filing) AND organization_id = ?1 AND id = ?2
LIMIT 1
