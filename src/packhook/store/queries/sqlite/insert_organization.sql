-- Insert an organization.
INSERT INTO organizations ({organization_columns}) VALUES ({organization_values:1})
