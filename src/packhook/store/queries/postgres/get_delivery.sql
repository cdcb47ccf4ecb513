-- Select one delivery of an organization.
SELECT {delivery_columns} FROM deliveries WHERE organization_id = $1 AND id = $2
