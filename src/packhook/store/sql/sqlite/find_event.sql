-- The number of an event of an organization: filed, or known to its deliveries, or among the newest that nobody wanted.
-- Differs because an organization's newest events are in no index yet.
SELECT seq FROM filed_events WHERE organization_id = ?1 AND id = ?2
UNION ALL SELECT event_seq FROM deliveries WHERE event_id = ?2 AND event_seq IS NOT NULL
UNION ALL SELECT seq FROM events WHERE seq > (SELECT events_filed FROM filing) AND organization_id = ?1 AND id = ?2
LIMIT 1
