-- Insert a node, and the range of leases that are its own.
INSERT INTO nodes (id, first_lease, last_lease, since) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING
