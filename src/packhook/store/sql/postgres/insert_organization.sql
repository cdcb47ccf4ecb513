-- Create an organization; no row where the id is, or ever was, an organization's.
-- Differs because another node may create it at the same time.
INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id
