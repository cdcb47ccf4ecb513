"""The HTTP API. ``routes.py`` has all routes, ``schemas/`` the fields of bodies, ``parameters.py`` the filters."""
