-- Select which of these attempts were stored.
SELECT a.delivery_id, a.number FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS wanted (delivery_id, number, started_at)
JOIN attempts a ON a.delivery_id = wanted.delivery_id AND a.number = wanted.number AND a.started_at = wanted.started_at
