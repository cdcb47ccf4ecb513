-- Select a page of an organization's deliveries.
SELECT {delivery_columns} FROM deliveries WHERE {conditions} ORDER BY id {order} LIMIT :limit
