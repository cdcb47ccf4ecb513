"""The only door to a database. ``base.py`` says what is promised, ``open.py`` finds the store for a URL."""
