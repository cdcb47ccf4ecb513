-- What waits for one webhook, and what waits in all organizations, is listed by id: a webhook may have had millions of
-- deliveries of which none waits, and millions may wait. What is sent at once is in neither index.
CREATE INDEX deliveries_pending_of_webhook ON deliveries (webhook_id, id) WHERE claimable_at IS NOT NULL;
CREATE INDEX deliveries_pending_by_id ON deliveries (id) WHERE claimable_at IS NOT NULL;
