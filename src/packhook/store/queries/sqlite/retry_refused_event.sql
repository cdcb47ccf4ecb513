-- Let an event that was given up be fanned out again, in its old place.
UPDATE outbox SET refused_at = NULL, reason = '' WHERE event_id = ? AND refused_at IS NOT NULL
