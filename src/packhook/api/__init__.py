"""The HTTP API. ``routes.py`` is the table of all routes; ``schemas/`` has the fields, ``parameters.py`` the filters."""
