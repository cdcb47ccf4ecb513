-- Select a page of organizations.
SELECT {organization_columns} FROM organizations WHERE {conditions} ORDER BY id {order} LIMIT :limit
