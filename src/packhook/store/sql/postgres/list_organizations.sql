-- A page of organizations.
SELECT id, name, created_at FROM organizations WHERE {conditions} ORDER BY id {order} LIMIT :limit
