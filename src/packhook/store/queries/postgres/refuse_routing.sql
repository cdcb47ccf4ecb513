-- Give up making the deliveries of an event of packhook.publish(); no row where that was done before.
UPDATE outbox SET refused_at = $2, reason = $3 WHERE event_id = $1 AND refused_at IS NULL RETURNING organization_id
