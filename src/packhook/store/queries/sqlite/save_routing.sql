-- Save through which webhook the deliveries of an event are made.
UPDATE outbox SET made_through = ?3 WHERE organization_id = ?1 AND event_id = ?2
