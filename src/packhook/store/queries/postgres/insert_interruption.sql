-- Insert attempts with an unknown outcome.
-- Differs because it takes many deliveries at once.
INSERT INTO interruptions (delivery_id, noticed_at, number)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::integer[]) ON CONFLICT DO NOTHING
