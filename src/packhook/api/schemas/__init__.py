"""Request and response schemas. Each field is declared here once; OpenAPI and the CLI's options come from it."""
