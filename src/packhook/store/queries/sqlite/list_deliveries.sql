-- Select a page of deliveries, of an organization or of all.
SELECT {delivery_columns} FROM deliveries WHERE {conditions} ORDER BY {key} {order} LIMIT :limit
