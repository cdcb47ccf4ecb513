-- Select one delivery of an organization, with its rowid behind the columns.
SELECT {delivery_columns}, rowid FROM deliveries WHERE organization_id = ? AND id = ?
