-- Delete outbox entries whose events have their deliveries; no row for an event that was erased meanwhile.
DELETE FROM outbox WHERE event_id = ANY ($1::text[]) RETURNING event_id
