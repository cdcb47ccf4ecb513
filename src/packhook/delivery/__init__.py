"""The engine: what is due goes out, once at least, and what became of it is recorded. ``engine.py`` is the whole."""
