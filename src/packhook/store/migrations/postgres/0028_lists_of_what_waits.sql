-- What waits for one webhook, and what waits in all organizations, is listed by id: a webhook may have had millions of
-- deliveries of which none waits, and millions may wait. What is sent at once never waits, and is in neither index. The
-- second has an expression that no other index has: its order is that of this list alone, whatever the planner estimates.
CREATE INDEX deliveries_pending_of_webhook ON packhook.deliveries (webhook_id, id) WHERE status = 'pending';
CREATE INDEX deliveries_pending_by_id ON packhook.deliveries (('' || id)) WHERE status = 'pending';
