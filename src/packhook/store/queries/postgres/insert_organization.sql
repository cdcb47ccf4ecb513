-- Insert an organization; no row where the id is, or ever was, in use.
-- Differs because another node may create it at the same time.
INSERT INTO organizations ({organization_columns}) VALUES ({organization_values:1}) ON CONFLICT DO NOTHING RETURNING id
