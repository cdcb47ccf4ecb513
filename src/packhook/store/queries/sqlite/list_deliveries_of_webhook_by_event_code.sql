-- Select a page of a webhook's deliveries of one event code; none is read if it never got events of this code.
-- Differs because a subquery in FROM cannot refer to the tables before it.
SELECT {delivery_columns}
FROM (SELECT 1 FROM webhooks WHERE id = :webhook_id AND (event_code = :event_code OR event_code_changed))
CROSS JOIN deliveries WHERE {conditions}
ORDER BY id {order} LIMIT :limit
