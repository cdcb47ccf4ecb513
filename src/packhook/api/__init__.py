"""The HTTP API: ``routes.py`` is the table of all routes, ``schemas`` the fields, ``parameters.py`` list filters."""
