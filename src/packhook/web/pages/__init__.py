"""Pages: each function reads through the service and renders a template, or changes something and redirects."""
