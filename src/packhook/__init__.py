"""packhook: webhooks for order events, stored durably, signed, delivered at least once. This is the map.

The way of one event, with the module at each step::

    POST …/events                                              a platform publishes
      │
      ├─ api/protocol.py    bytes to requests
      ├─ api/exchange.py    who asks, and may they             service/access.py  service/limits.py
      ├─ api/publish.py     decode, check; data stays bytes    api/quick.py
      ├─ service/publish.py an id, a time, a place in the queue
      ▼
    store/base.py           the promise: on disk when it returns
      ├─ store/sqlite/writer.py    what waits together shares one transaction
      └─ store/sqlite/publish.py   the event and its deliveries, some leased to this node
         (store/postgres/ has the same files for many nodes; store/sealed.py seals secrets on the way in)
      │
      ├──▶ 202                                                 the publisher goes on
      ▼
    delivery/dispatch.py    handed over, or claimed when due (delivery/claim.py)
      ├─ delivery/turns.py     whose turn: by organization, then by webhook
      ├─ delivery/lane.py      how much at once, how fast, or not now
      ▼
    delivery/attempt.py     compose, sign (core/signature.py), send, judge (core/judge.py)
      ├─ delivery/egress.py    may we connect there            core/address.py  core/endpoint.py
      │  delivery/proxy.py     the same through a proxy        core/proxy.py
      └─ delivery/send.py      one request, one outcome        delivery/plain.py (http)  delivery/libcurl.py (https)
      ▼
    delivery/record.py      outcomes into the store, many to a transaction
      └─ store/sqlite/record.py    a retry is the same row, claimable later (core/backoff.py)

Who starts it: ``cli/serve.py``. Who reads it back: ``service/history.py``. Who cleans up: ``delivery/upkeep.py``.
Who asks an endpoint whether it wants any of it: ``service/ownership.py``, by ``delivery/handshake.py``.
Who changed what, when and from where: ``core/audit.py``, written by the store with the change itself.
Imports point one way: cli, api, service, delivery, store, core; settings and telemetry stand beside core.
"""

__version__ = "0.1.0"
