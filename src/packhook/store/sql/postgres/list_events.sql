-- A page of an organization's events.
SELECT id, organization_id, event_code, data, created_at
FROM events WHERE {conditions} ORDER BY id {order} LIMIT :limit
