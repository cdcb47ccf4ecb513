-- Create an organization.
INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)
