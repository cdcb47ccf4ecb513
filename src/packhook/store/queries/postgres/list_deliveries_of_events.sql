-- Select a page of the deliveries of some events: the first of each, merged.
SELECT found.* FROM unnest(:event_ids::text[]) AS e (id) CROSS JOIN LATERAL (
  SELECT {delivery_columns} FROM deliveries WHERE event_id = e.id AND {conditions} ORDER BY id {order} LIMIT :limit)
  AS found
ORDER BY found.id {order} LIMIT :limit
