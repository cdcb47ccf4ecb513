"""The publish path: ``POST …/events`` and ``POST …/events/batch``, from the bytes of a connection to the 202.

::

    bytes ─▶ protocol.py ─┬─ a publish route ─▶ request_cycle.py ─▶ app.py ─ authenticate, read ─▶ handlers.py
                          └─ any other ───────▶ ASGI (api/app.py)                                     │
                                                                                 decoder.py ◀─────────┤
                                                        service/publish.py: durable ─▶ 202 ◀──────────┘

``protocol.py`` is the node's only HTTP server: uvicorn's HTTP/1.1 protocol with limits. It calls the publish routes
directly, because ASGI and FastAPI would add a third to the cost of an event (docs/decisions/0009).
"""
