-- Have an event fanned out.
INSERT INTO outbox (organization_id, event_id) VALUES (?, ?)
