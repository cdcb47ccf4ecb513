-- Lanes were looked through: nothing is claimable in them before these instants.
-- Differs because it takes many lanes at once.
UPDATE lanes l SET due_at = given.due_at FROM unnest($1::text[], $2::bigint[]) AS given (webhook_id, due_at)
WHERE l.webhook_id = given.webhook_id AND l.due_at <> given.due_at
