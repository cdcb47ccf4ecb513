"""HTTP in. ``routes.py`` has every route on one screen, ``publish.py`` the hot one."""
