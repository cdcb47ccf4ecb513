-- The operator lists deliveries of all organizations: all by id, and those that need attention.
CREATE INDEX deliveries_by_id ON deliveries (id);
CREATE INDEX deliveries_exhausted_by_id ON deliveries (id) WHERE status = 'exhausted';
CREATE INDEX deliveries_canceled_by_id ON deliveries (id) WHERE status = 'canceled';
