-- A page of one event code's events costs what it shows.
CREATE INDEX events_by_event_code ON events (organization_id, event_code, id);
