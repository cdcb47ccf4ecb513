-- Select a page of an organization's deliveries of one event code: the newest of each webhook that may have some, merged.
SELECT found.* FROM webhooks w CROSS JOIN LATERAL (
  SELECT {delivery_columns} FROM deliveries WHERE webhook_id = w.id AND {conditions} ORDER BY id {order} LIMIT :limit)
  AS found
WHERE w.organization_id = :organization_id AND (w.event_code = :event_code OR w.event_code_changed)
ORDER BY found.id {order} LIMIT :limit
