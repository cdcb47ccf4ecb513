-- Let events that were given up be fanned out again, in their old places; return those that were.
UPDATE outbox SET refused_at = NULL, reason = '' WHERE event_id = ANY ($1::text[]) AND refused_at IS NOT NULL
RETURNING event_id
