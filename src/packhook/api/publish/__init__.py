"""The publish path: ``POST …/events`` and ``POST …/events/batch``, from the bytes of a connection to the 202.

::

    bytes ─▶ protocol.py ─┬─ a publish route ─▶ app.py: authenticate, decode ─▶ service/publish.py: durable ─▶ 202
                          └─ any other ───────▶ ASGI (api/app.py)

``protocol.py`` is the node's only HTTP server: uvicorn's HTTP/1.1 protocol with limits. It calls the publish routes
directly, because ASGI and FastAPI would add a third to the cost of an event (docs/decisions/0009).
"""
