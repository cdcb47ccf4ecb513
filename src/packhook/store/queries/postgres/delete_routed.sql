-- Delete outbox entries whose events have their deliveries.
DELETE FROM outbox WHERE event_id = ANY ($1::text[])
