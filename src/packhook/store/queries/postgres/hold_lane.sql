-- Send nothing to these webhooks before these instants.
-- Differs because it takes many lanes at once, and another node may be deleting one as empty.
INSERT INTO lanes (webhook_id, organization_id, due_at, held_until)
SELECT webhook_id, organization_id, held_until, held_until
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS held (webhook_id, organization_id, held_until) ORDER BY webhook_id
ON CONFLICT (webhook_id) DO UPDATE SET held_until = greatest(lanes.held_until, excluded.held_until)
