-- Which of these attempts were written down.
SELECT a.delivery_id, a.number FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS asked (delivery_id, number, started_at)
JOIN attempts a ON a.delivery_id = asked.delivery_id AND a.number = asked.number AND a.started_at = asked.started_at
