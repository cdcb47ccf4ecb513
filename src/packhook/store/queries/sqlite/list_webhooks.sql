-- Select a page of an organization's webhooks.
SELECT {webhook_columns} FROM webhooks WHERE {conditions} ORDER BY id {order} LIMIT :limit
