-- Remember what is answered; of two nodes with the same key the second waits for the first, and gets no row.
-- Differs because it takes many keys at once, and because of the other nodes.
INSERT INTO idempotency_keys (organization_id, key, fingerprint, receipts, created_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[])
ON CONFLICT DO NOTHING RETURNING organization_id, key
