-- The operator lists deliveries of all organizations: all by id, and those that need attention.
-- The indexes are of an expression, which no other statement has. Of the id alone they would serve its order everywhere:
-- where most deliveries are of one organization, the planner would read them all to list those of another.
CREATE INDEX deliveries_by_id ON packhook.deliveries ((id || ''));
CREATE INDEX deliveries_exhausted_by_id ON packhook.deliveries ((id || '')) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled_by_id ON packhook.deliveries ((id || '')) WHERE status = 'canceled';
