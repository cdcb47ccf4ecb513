-- Note that packhook disabled webhooks, so that a recovery is reported although no failure was.
-- Differs because it takes many webhooks at once.
INSERT INTO webhook_alerts (webhook_id, failing_since, warnings) SELECT webhook_id, $2::bigint, 0
FROM unnest($1::text[]) AS disabled (webhook_id) ON CONFLICT (webhook_id) DO NOTHING
