-- Select a page of a webhook's deliveries of one event code; none is read if it never got events of this code.
SELECT found.* FROM webhooks w CROSS JOIN LATERAL (
  SELECT {delivery_columns} FROM deliveries WHERE webhook_id = w.id AND {conditions} ORDER BY id {order} LIMIT :limit)
  AS found
WHERE w.id = :webhook_id AND (w.event_code = :event_code OR w.event_code_changed)
ORDER BY found.id {order} LIMIT :limit
