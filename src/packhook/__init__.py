"""packhook: webhooks for order events, stored durably, signed, delivered at least once. This is the map.

The way of one event, with the module at each step::

    POST …/events                                              a platform publishes
      │
      ├─ api/protocol.py    bytes to requests
      ├─ api/exchange.py    who asks, and may they             service/authentication.py  service/rate_limiter.py
      ├─ api/publish.py     decode, check; data stays bytes    api/quick.py
      ├─ service/publish.py an id, a time, a place in the queue
      ▼
    store/base.py           the promise: on disk when it returns
      ├─ store/sqlite/writer.py    what waits together shares one transaction
      └─ store/sqlite/publish.py   the event and its deliveries, some leased to this node
         (store/postgres/ has the same files for many nodes; store/encryption/store.py seals secrets on the way in)
      │
      ├──▶ 202                                                 the publisher goes on
      ▼
    delivery/scheduler.py    handed over, or claimed when due (delivery/claim_loop.py)
      ├─ delivery/fair_queue.py     whose turn: by organization, then by webhook
      ├─ delivery/lane.py      how much at once, how fast, or not now
      ▼
    delivery/attempt.py     compose, sign (core/signatures/standard.py), send, judge (core/retry_policy.py)
      ├─ delivery/http/egress.py   may we connect there        core/ip_policy.py  core/endpoint.py
      └─ delivery/http/client.py   one request, one outcome    pool.py  connection.py  tls.py  response_parser.py
      ▼
    delivery/recorder.py      outcomes into the store, many to a transaction
      └─ store/sqlite/record.py    a retry is the same row, claimable later (core/retry_policy.py)

Who starts it: ``cli/serve.py``. Who reads it back: ``service/history.py``. Who cleans up: ``delivery/maintenance.py``.
Who asks an endpoint whether it wants any of it: ``service/endpoint_verification.py``, by ``delivery/handshake.py``.
Who changed what, when and from where: ``core/audit.py``, written by the store with the change itself.
Imports point one way: cli, api, service, delivery, store, core; settings and telemetry stand beside core.
"""

__version__ = "0.1.0"
