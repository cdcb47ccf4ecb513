-- The oldest of the newest events, up to a number, into the list of their organizations.
INSERT OR IGNORE INTO filed_events (organization_id, id, seq)
SELECT organization_id, id, seq FROM events WHERE seq > (SELECT events_filed FROM filing) AND seq <= ?
