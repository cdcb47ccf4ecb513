"""What is PostgreSQL's own: many nodes, trouble with the server, the schema, plans and round trips."""
