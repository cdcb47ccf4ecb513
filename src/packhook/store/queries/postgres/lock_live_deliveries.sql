-- Lock live deliveries of these events until the transaction ends, at most so many.
-- Differs because another node may be settling them.
SELECT organization_id, id, status, attempt_count FROM deliveries
WHERE event_id = ANY ($1::text[]) AND status IN ('pending', 'sending') ORDER BY event_id, id LIMIT $2 FOR UPDATE
