-- Delete the outbox entry of an event that has its deliveries.
DELETE FROM outbox WHERE organization_id = ? AND event_id = ?
