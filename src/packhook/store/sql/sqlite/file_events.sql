-- The newest events, into the list of their organizations.
INSERT INTO filed_events (organization_id, id, seq)
SELECT organization_id, id, seq FROM events WHERE seq > (SELECT events FROM filing)
