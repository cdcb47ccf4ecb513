-- Give up making the deliveries of an event.
-- Differs because one process does it: no other did it before.
UPDATE outbox SET refused_at = ?2, reason = ?3 WHERE event_id = ?1
