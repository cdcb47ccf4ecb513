"""Show pages for people: server-rendered, over ``service/``, without a line that decides anything twice.

::

    request ─ app.py: static file, or session ─▶ visit.py: who asks, from where, with which form
                                                   └─▶ pages/*.py: one service call or a few ─▶ templates/*.html

To add a page:

1. ``pages/SUBJECT.py``: ``async def name(visit: Visit) -> Response`` for GET; another function for POST, which changes
   something through the service and returns ``visit.redirect(…)``.
2. ``routes.py``: its line, with name, path, and both functions. ``visit.link(name, …)`` makes its address.
3. ``templates/NAME.html``: extends ``layout.html``; ``macros.html`` has chips, times, ids, tables, forms, empty states.
4. ``tests/web/test_pages.py``: its address in ``PAGES``; the tests walk all of them, in a browser too.

Everything works without JavaScript. Nothing is inline: the content security policy allows files of ``static/`` alone.
"""
