-- Record that nothing is claimable in these lanes before these instants.
-- Differs because it takes many lanes at once.
UPDATE lanes l SET due_at = next.due_at FROM unnest($1::text[], $2::bigint[]) AS next (webhook_id, due_at)
WHERE l.webhook_id = next.webhook_id AND l.due_at <> next.due_at
